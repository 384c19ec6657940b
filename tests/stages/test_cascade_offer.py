"""A cascade is proposed where it lies on the Pareto front, and nowhere else; its figures are honest ones."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from rung.building.cascade_offer import Candidate, candidate, offer
from rung.core import registry
from rung.core.model import Cost, Rung
from rung.core.params import make_params
from rung.core.spec.product import parse_product
from rung.core.types import Examples, Field, Prediction, Schema
from rung.training.cascade.held_out_answers import HeldOutAnswers, read_held_out, save_held_out

LABELS = ("a", "b", "c", "d")
SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", LABELS),))
ROWS = 3000
METRIC = registry.task("text_classification").metric("accuracy", SCHEMA)


@dataclass(frozen=True)
class World:
    train: Examples
    truth: np.ndarray


def world(seed=0):
    truth = np.random.default_rng(seed).integers(0, 4, ROWS)
    names = [str(i) for i in range(ROWS)]
    return World(
        Examples(SCHEMA, {"text": names}, [LABELS[t] for t in truth], names, range(ROWS), [0.0] * ROWS), truth
    )


def answers(truth, skill, seed, rows=None):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (len(truth), 4))
    logits[np.arange(len(truth)), truth] += skill
    rows_of = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
    found = HeldOutAnswers(np.arange(len(truth)), rows_of.argmax(axis=1), rows_of)
    return found if rows is None else found.at(rows)


def pair(at, cheap=2.0, dear=3.5, usd=(0.001, 1.0)):
    return [
        Candidate("tfidf_linear", "tfidf_linear", {}, usd[0], answers(at.truth, cheap, 1)),
        Candidate("llm_prompt", "llm_prompt", {"model": "m"}, usd[1], answers(at.truth, dear, 2)),
    ]


def test_a_cascade_on_the_front_is_proposed_with_its_curve_and_its_line_of_yaml():
    at = world()
    found = offer(pair(at), at.train, METRIC, 3e-5)
    assert found["stages"] == ["tfidf_linear", "llm_prompt"] and 0.02 < found["handed_on"] < 0.6
    assert found["usd_per_1k"] == pytest.approx(0.001 + found["handed_on"], abs=1e-3)
    assert found["score"] > found["dear"]["score"] - 0.02 and found["score"] > found["cheap"]["score"]
    shares = [point["handed_on"] for point in found["curve"]]
    assert shares == sorted(shares, reverse=True) and len(shares) == 6
    text = f"name: x\ntask: text_classification\ndata: {{path: a.csv, input: text, target: label}}\nbar: {{metric: accuracy, at_least: 0.9}}\n{found['yaml']}\n"
    spec = parse_product(text).cascade
    assert [stage.model for stage in spec.stages] == found["stages"] and spec.stages[1].params == {
        "model": "m"
    }


def test_none_is_proposed_where_the_dear_rung_is_no_better_or_no_dearer():
    at = world()
    assert offer(pair(at, cheap=3.0, dear=2.0), at.train, METRIC, 3e-5) is None
    assert offer(pair(at, usd=(1.0, 1.00001)), at.train, METRIC, 3e-5) is None
    assert offer(pair(at)[:1], at.train, METRIC, 3e-5) is None
    same = [replace(one, family="tfidf_linear") for one in pair(at)]
    assert offer(same, at.train, METRIC, 3e-5) is None, "a family stands in a cascade once"


def test_a_third_rung_that_is_as_good_and_cheaper_takes_it_off_the_front():
    at = world()
    third = Candidate("blend", "blend", {}, 0.002, answers(at.truth, 3.6, 3))
    assert offer([*pair(at), third], at.train, METRIC, 3e-5) is None


def test_chance_is_hardly_ever_proposed():
    """Two rungs that differ by chance alone, and a confidence that knows nothing: one half promises what the other does not keep."""
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        at = world(seed)
        rows = rng.dirichlet(np.ones(4), ROWS)

        def guesses(rng=rng, at=at, rows=rows):
            answered = np.where(rng.random(ROWS) < 0.7, at.truth, (at.truth + 1) % 4)
            return HeldOutAnswers(np.arange(ROWS), answered, rows)

        ours = [replace(one, answers=guesses()) for one in pair(at)]
        found += offer(ours, at.train, METRIC, 3e-5) is not None
    assert found <= 6


def test_answers_are_kept_by_row_and_shared_rows_are_compared(tmp_path):
    at = world()
    kept = answers(at.truth, 2.0, 1)
    said = tuple(
        Prediction(LABELS[a], float(row[a]), extra={"probabilities": row})
        for a, row in zip(kept.answered, kept.probabilities, strict=True)
    )
    save_held_out(range(ROWS), said, SCHEMA, tmp_path)
    again = read_held_out(tmp_path)
    assert np.array_equal(again.answered, kept.answered) and np.allclose(
        again.probabilities, kept.probabilities, atol=1e-6
    )
    assert read_held_out(tmp_path / "nowhere") is None
    half = np.arange(0, ROWS, 2)
    ours = pair(at)
    ours[1] = replace(ours[1], answers=answers(at.truth, 3.5, 2, half))
    assert offer(ours, at.train, METRIC, 3e-5)["rows"] == len(half)


def test_what_stands_behind_known_answers_is_the_stage_and_floors_are_none():
    at = world()
    kept = answers(at.truth, 2.0, 1)
    lookup = registry.model("lookup")
    behind = make_params(lookup.Params, {"then": "tfidf_linear", "params": {"use_chars": True}})
    trial = {"status": "below bar", "differing": 0, "is_floor": False, "usd_per_1k": 0.1}
    rung = Rung("lookup-tfidf_linear", "lookup", behind, Cost(1, 1, 1, 1), 0.1)
    found = candidate(rung, trial, kept)
    assert (found.family, found.params, found.name) == (
        "tfidf_linear",
        {"use_chars": True},
        "lookup-tfidf_linear",
    )
    own = make_params(registry.model("tfidf_linear").Params, {"use_chars": True})
    assert candidate(replace(rung, model="tfidf_linear", params=own), trial, kept).params == {
        "use_chars": True
    }
    assert candidate(rung, trial | {"is_floor": True}, kept) is None
    assert candidate(rung, trial | {"status": "failed"}, kept) is None
    assert candidate(rung, trial, None) is None
