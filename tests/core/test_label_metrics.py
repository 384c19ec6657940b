"""Metrics of probabilities and numbers agree with scikit-learn, and their exact bounds hold as often as they say."""

import numpy as np
import pytest
from sklearn import metrics

from rung.core.metrics.classification import (
    Brier,
    ExpectedCost,
    Ks,
    MeanRocAuc,
    PrAuc,
    RecallAtAlerts,
    RecallAtPrecision,
)
from rung.core.metrics.regression import mae, r2, rmse, within
from rung.core.types import Field, Prediction, Schema

SCHEMA = Schema((), (Field("label", "category", "output", ("no", "yes")),))


def drawn(n=400, seed=0, rate=0.2):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < rate
    scores = np.round(1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * positive - 1.5))), 2)
    answers = [
        Prediction("yes" if p > 0.5 else "no", extra={"probabilities": np.array([1 - p, p])}) for p in scores
    ]
    return ["yes" if p else "no" for p in positive], answers, scores, positive


def units(n):
    return [f"{i:016x}" for i in range(n)]


def test_scores_are_those_of_scikit_learn():
    truths, answers, scores, positive = drawn()
    expected = {
        "roc_auc": metrics.roc_auc_score(positive, scores),
        "pr_auc": metrics.average_precision_score(positive, scores),
        "brier": metrics.brier_score_loss(positive, scores),
        "ks": max(abs(np.subtract(*metrics.roc_curve(positive, scores)[1::-1]))),
    }
    ours = [MeanRocAuc("roc_auc"), PrAuc("pr_auc", "yes"), Brier("brier", ("no", "yes")), Ks("ks", "yes")]
    for metric in ours:
        assert metric.score(truths, answers, SCHEMA) == pytest.approx(expected[metric.name]), metric.name


def test_recall_at_a_workload_and_at_a_precision():
    truths, answers, scores, positive = drawn()
    order = np.argsort(-scores, kind="stable")
    assert RecallAtAlerts("a", "yes", 1.0).score(truths, answers, SCHEMA) == 1.0
    found = RecallAtAlerts("a", "yes", 0.1).score(truths, answers, SCHEMA)
    assert found == pytest.approx(positive[order[:40]].sum() / positive.sum(), abs=0.05)
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    best = recall[precision >= 0.6].max()
    assert RecallAtPrecision("p", "yes", 0.6).score(truths, answers, SCHEMA) == pytest.approx(best)


@pytest.mark.parametrize("metric", [MeanRocAuc("roc_auc"), ExpectedCost("expected_cost", "yes", 500.0, 5.0)])
def test_exact_bounds_hold_nineteen_times_of_twenty(metric):
    truths, answers, _, _ = drawn(200_000, seed=99)
    truth = metric.score(truths, answers, SCHEMA)
    broken = 0
    for seed in range(200):
        t, a, _, _ = drawn(250, seed=seed)
        bound = metric.bound(t, a, SCHEMA, units(250), 0.05)
        assert bound.exact
        broken += bound.value > truth if metric.higher_is_better else bound.value < truth
    assert broken <= 18  # Of 200 at 5 %: more than 18 has a chance of 1 in 100.


def test_what_has_no_exact_bound_says_so():
    truths, answers, _, _ = drawn()
    for metric in (PrAuc("pr_auc", "yes"), Ks("ks", "yes"), RecallAtAlerts("r", "yes", 0.1)):
        assert not metric.bound(truths, answers, SCHEMA, units(400), 0.05).exact
    numbers = [Prediction(float(i)) for i in range(50)]
    for metric in (mae(), rmse(), r2()):
        bound = metric.bound([i + (-1.0) ** i * (i % 7) for i in range(50)], numbers, SCHEMA, units(50), 0.05)
        assert not bound.exact and np.isfinite(bound.value)


def test_numbers_agree_with_scikit_learn_and_tolerance_is_a_share():
    truth, said = [100.0, 200.0, 50.0, 80.0], [109.0, 215.0, 60.0, 80.0]
    answers = [Prediction(v) for v in said]
    assert mae().score(truth, answers, SCHEMA) == metrics.mean_absolute_error(truth, said)
    assert rmse().score(truth, answers, SCHEMA) == pytest.approx(
        metrics.mean_squared_error(truth, said) ** 0.5
    )
    assert r2().score(truth, answers, SCHEMA) == pytest.approx(metrics.r2_score(truth, said))
    assert within("within:10%", 0.1, True).score(truth, answers, SCHEMA) == 0.75
    assert within("within:9", 9.0, False).score(truth, answers, SCHEMA) == 0.5
    assert within("w", 0.1, True).bound(truth, answers, SCHEMA, units(4), 0.05).exact
