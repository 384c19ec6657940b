"""A cascade: what is sure stays, the rest is handed on; thresholds from held-out rows; costs and names add up."""

import json
import math

import numpy as np
import pytest

from llm_server import by_keywords, llm_server
from rung.core import registry
from rung.core.errors import RungError
from rung.core.model import DataFacts, FitContext
from rung.core.params import make_params
from rung.core.types import Examples
from rung.models.cascade import Cascade
from rung.runtime.cascade.hand_on import HandOn, features, scores
from rung.testing import tiny_examples
from rung.training.cascade.thresholds import choose
from ways_in import KITCHEN, SPORT

WORDS = {"kitchen": "|".join(KITCHEN), "sport": "|".join(SPORT)}
_, TINY = tiny_examples("text_classification")


def fit(stages, effort=1, **params):
    made = make_params(Cascade.Params, {"stages": stages, **params})
    return Cascade.fit(TINY, made, FitContext(effort=effort))


def llm(server):
    params = {"service": server.base, "model": "test-1", "usd_in": 1.0, "usd_out": 10.0, "search": 0}
    return {"model": "llm_prompt", "params": params}


def simulated(rng, rows, labels=5, skill=2.0, last=0.93):
    """Return probabilities of a cheap model, whether it is right, and whether a dear one is."""
    truth = rng.integers(0, labels, rows)
    logits = rng.normal(0, 1, (rows, labels))
    logits[np.arange(rows), truth] += skill
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return chances, chances.argmax(axis=1) == truth, rng.random(rows) < last


def test_few_rows_are_handed_on_for_the_accuracy_of_the_last_stage():
    rng = np.random.default_rng(0)
    chances, own, later = simulated(rng, 4000)
    found = choose(chances, own, later, 0.005)
    kept = found.rule.keeps(chances)
    accuracy = np.where(kept, own, later).mean()
    assert accuracy >= later.mean() - 0.01 and 0.1 < found.handed < 0.8
    assert abs((~kept).mean() - found.handed) < 0.03
    new, own, later = simulated(rng, 4000)
    assert np.where(found.rule.keeps(new), own, later).mean() >= later.mean() - 0.02


def test_predicted_benefit_wins_where_the_last_stage_is_weak_on_a_label():
    """The dear model is no better on one label: uncertainty hands its rows on in vain, benefit keeps them."""
    rng = np.random.default_rng(1)
    chances, own, _ = simulated(rng, 6000, skill=1.5)
    answered = chances.argmax(axis=1)
    later = np.where(answered == 0, own, rng.random(6000) < 0.95)
    found = choose(chances, own, later, 0.01)
    assert found.rule.signal == "benefit" and found.handed < found.tried["confidence"] - 0.05


def test_all_or_nothing_is_handed_on_where_that_is_best():
    rng = np.random.default_rng(2)
    chances, own, _ = simulated(rng, 500)
    none = choose(chances, own, own.copy(), 0.0)
    assert none.handed == 0 and none.rule.keeps(chances).all()
    every = choose(chances, np.zeros(500, bool), np.ones(500, bool), 0.0)
    assert every.handed == 1 and not every.rule.keeps(chances).any()


def test_scores_and_rules_survive_json():
    chances = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]])
    assert scores("confidence", chances, np.zeros(0)) == pytest.approx([0.7, 0.4])
    assert scores("margin", chances, np.zeros(0)) == pytest.approx([0.5, 0.05])
    assert features(chances).shape == (2, 9) and features(np.array([[0.6, 0.4]])).shape == (1, 8)
    rule = HandOn("benefit", 0.1, (1.0, 2.0))
    assert HandOn.from_dict(json.loads(json.dumps(rule.as_dict()))) == rule


def test_the_dear_stage_answers_only_what_is_handed_on_and_is_paid_for():
    with llm_server(by_keywords(WORDS, "sport", logprob=-0.01)) as server:
        model = fit([{"model": "tfidf_linear"}, llm(server)])
        before = len(server.seen)
        answers = model.predict(TINY.inputs)
        asked = len(server.seen) - before
    by = [answer.answered_by for answer in answers]
    assert by.count("llm_prompt") == asked and set(by) <= {"tfidf_linear", "llm_prompt"}
    for answer in answers:
        assert (answer.cost > 0) == (answer.answered_by == "llm_prompt")
        assert math.isclose(answer.extra["probabilities"].sum(), 1.0)
    assert model.children == {"tfidf_linear": "stage-0", "llm_prompt": "stage-1"}
    assert model.chosen["threshold_rows"] == len(TINY) // 3 and "same model" in model.assumptions


def test_unsure_answers_of_the_last_stage_go_to_a_person_by_choice():
    model = fit([{"model": "majority"}, {"model": "tfidf_linear"}])
    for least in (0.0, 0.999):
        asked = Cascade(
            model.labels, model._stages, [HandOn("confidence", 2.0)], {**model._facts, "abstain": least}
        )
        answers = asked.predict({"text": ["zzzz qqqq", "The striker scored twice in the second half"]})
        assert any(answer.abstained for answer in answers) == (least > 0)
        assert all(
            answer.value in model.labels and answer.answered_by == "tfidf_linear" for answer in answers
        )


@pytest.mark.parametrize(
    "stages,said",
    [
        ([], "2 to 4 stages, not 0"),
        ([{"model": "tfidf_linear"}], "2 to 4 stages, not 1"),
        ([{"model": "tfidf_linear"}, {"model": "tfidf_linear"}], "of the same family"),
        ([{"model": "tfidf_linear"}, {"model": "cascade"}], "'cascade' cannot be a stage"),
        ([{"model": "lookup"}, {"model": "tfidf_linear"}], "'lookup' cannot be a stage"),
        ([{"model": "tfidf_linear", "parms": {}}, {"model": "majority"}], "'parms' is no part of a stage"),
        ([{"model": "tfidf_linear"}, {"model": "tfidf"}], "tfidf"),
    ],
)
def test_wrong_stages_are_refused(stages, said):
    params = make_params(Cascade.Params, {"stages": stages})
    assert said in str(Cascade.unavailable(DataFacts(100, 2, 100.0), params, FitContext()))


def test_a_cascade_comes_back_from_its_folder(tmp_path):
    model = fit([{"model": "majority"}, {"model": "tfidf_linear"}])
    model.save(tmp_path)
    again = registry.model("cascade").load(tmp_path, TINY.schema)
    assert np.allclose(again.probabilities(TINY.inputs), model.probabilities(TINY.inputs))
    facts = json.loads((tmp_path / "cascade.json").read_text())
    (tmp_path / "cascade.json").write_text(json.dumps({**facts, "rules": []}))
    with pytest.raises(RungError, match="do not fit the stages"):
        registry.model("cascade").load(tmp_path, TINY.schema)


def test_a_selective_error_is_searched_on_rows_that_no_stage_has_learned_from():
    texts = [f"{word} number {i}" for i in range(100) for word in (*KITCHEN[:4], *SPORT[:4])]
    labels = ["kitchen" if text.split()[0] in KITCHEN else "sport" for text in texts]
    rows = Examples(
        TINY.schema, {"text": texts}, labels, [str(i) for i in range(800)], range(800), [0.0] * 800
    )
    made = make_params(
        Cascade.Params,
        {"stages": [{"model": "majority"}, {"model": "tfidf_linear"}], "selective_error": 0.05},
    )
    model = Cascade.fit(rows, made, FitContext(effort=0))
    told = model.chosen
    assert told["selective_error_at_most"] == 0.05 and told["calibration_rows"] == 160
    assert told["coverage"] >= told["coverage_at_least"] > 0.5 and told["abstains_below"] > 0
    unknown = model.predict({"text": ["zzzz qqqq"]})
    assert unknown[0].abstained or unknown[0].score >= told["abstains_below"]
    with pytest.raises(RungError, match="59 faultless ones are needed"):
        Cascade.fit(TINY, made, FitContext(effort=0))
    guessed = np.random.default_rng(0).choice(["kitchen", "sport"], 800).tolist()
    noise = Examples(TINY.schema, rows.inputs, guessed, rows.units, rows.rows, rows.times)
    with pytest.raises(RungError, match="no threshold keeps the errors"):
        Cascade.fit(noise, made, FitContext(effort=0))
