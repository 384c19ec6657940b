"""An ensemble: weights from rows that no member learned from, members that add nothing left out, costs that add up."""

import json

import numpy as np
import pytest

from rung.building.fit import split_validation
from rung.core import registry
from rung.core.errors import BundleError, RungError
from rung.core.model import DataFacts, FitContext
from rung.core.params import make_params
from rung.models.ensemble import Ensemble
from rung.models.ensemble import weighted_mean as pooled
from rung.runtime.cascade.hand_on import rows_of
from rung.testing import tiny_examples
from rung.training.linear.pooling import pooling_weights

_, TINY = tiny_examples("text_classification")
TWO = [{"model": "tfidf_linear"}, {"model": "static_embedding"}]
pytestmark = pytest.mark.usefixtures("wordllama")


def fit(members, **params):
    made = make_params(Ensemble.Params, {"members": members, **params})
    learn, context = split_validation(TINY, FitContext(effort=0), Ensemble.VALIDATION_SHARE)
    return Ensemble.fit(learn, made, context)


def simulated(rng, rows, skills, labels=4):
    """Return probabilities of models of different skill, and the true labels."""
    truth = rng.integers(0, labels, rows)
    found = []
    for skill in skills:
        logits = rng.normal(0, 1, (rows, labels))
        logits[np.arange(rows), truth] += skill
        found.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    return found, truth


def log_loss(chances, truth):
    return -np.log(chances[np.arange(len(truth)), truth]).mean()


def test_weights_have_the_least_log_loss_of_all():
    members, truth = simulated(np.random.default_rng(0), 2_000, (2.0, 1.0, 0.2))
    weights = pooling_weights(members, truth)
    assert weights.sum() == pytest.approx(1.0) and weights[0] > weights[1] > weights[2]
    best = log_loss(pooled(members, weights), truth)
    steps = np.linspace(0, 1, 21)
    others = [
        log_loss(pooled(members, np.array([a, b, 1 - a - b])), truth)
        for a in steps
        for b in steps
        if a + b <= 1.0
    ]
    assert best <= min(others) + 1e-6


def test_two_that_err_apart_are_better_together():
    rng = np.random.default_rng(1)
    members, truth = simulated(rng, 2_000, (1.5, 1.5))
    weights = pooling_weights(members, truth)
    fresh, truth = simulated(rng, 4_000, (1.5, 1.5))
    alone = max((one.argmax(axis=1) == truth).mean() for one in fresh)
    assert (pooled(fresh, weights).argmax(axis=1) == truth).mean() > alone + 0.03


def test_a_member_that_adds_nothing_is_left_out():
    rng = np.random.default_rng(2)
    (good,), truth = simulated(rng, 1_000, (3.0,))
    noise, _ = simulated(rng, 1_000, (0.0,))
    assert pooling_weights([good, noise[0]], truth)[1] < 0.05


def test_it_answers_by_the_weighted_mean_and_survives_its_file(tmp_path):
    model = fit(TWO, weights=[3, 1])
    model.save(tmp_path)
    again = Ensemble.load(tmp_path, TINY.schema)
    answers = model.predict(TINY.inputs)
    assert [a.value for a in again.predict(TINY.inputs)] == [a.value for a in answers]
    assert np.allclose(rows_of(answers), model.probabilities(TINY.inputs))
    assert model.chosen["weights"] == [0.75, 0.25] and model.chosen["weight_rows"] == 0
    assert set(model.children) == {"tfidf_linear", "static_embedding"}
    assert model.explain(TINY.inputs)[0]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([{"model": "tfidf_linear"}], "2 to 5 members"),
        ([{"model": "tfidf_linear"}] * 2, "two members are of the same family"),
        ([{"model": "tfidf_linear"}, {"model": "majority"}], "'majority' cannot be a member"),
        ([{"model": "tfidf_linear"}, {"model": "ensemble"}], "'ensemble' cannot be a member"),
        ([{"model": "tfidf_linear"}, {"model": "blend", "weight": 2}], "'weight' is no part of a member"),
    ],
)
def test_wrong_members_are_named(members, said):
    with pytest.raises(RungError) as caught:
        fit(members)
    assert said in str(caught.value)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [float("nan"), 1.0]])
def test_wrong_weights_are_named(weights):
    with pytest.raises(RungError) as caught:
        fit(TWO, weights=weights)
    assert "weights" in str(caught.value)


def test_a_changed_file_is_refused(tmp_path):
    fit(TWO, weights=[1, 1]).save(tmp_path)
    facts = json.loads((tmp_path / "ensemble.json").read_text())
    (tmp_path / "ensemble.json").write_text(json.dumps(facts | {"weights": [1.0]}))
    with pytest.raises(BundleError):
        Ensemble.load(tmp_path, TINY.schema)


def test_the_price_is_that_of_all_members():
    facts, context = DataFacts(1_000, 3, 200.0), FitContext()
    made = make_params(Ensemble.Params, {"members": TWO})
    whole = Ensemble.cost(facts, made, context)
    parts = [registry.model(m["model"]) for m in TWO]
    each = [family.cost(facts, family.Params(), context) for family in parts]
    assert whole.cpu_seconds_per_1k == pytest.approx(1e-3 + sum(c.cpu_seconds_per_1k for c in each))
    assert whole.fit_seconds == pytest.approx(1.0 + 2 * sum(c.fit_seconds for c in each))
