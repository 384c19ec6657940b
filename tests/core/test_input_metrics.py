"""Metrics that read the inputs get them wherever rows are scored; metrics that do not never see them."""

import numpy as np
import pytest

from rung.building import certify, evaluate
from rung.building.certify import Requirement
from rung.core.certificate_lock import CertificateLock
from rung.core.metrics import scored
from rung.core.metrics.base import InputMeanMetric, LogLoss, MeanMetric
from rung.core.metrics.scored import ScoredRows
from rung.core.spec.bar import Condition
from rung.core.stats.confidence_bounds import mean_lower, proportion_lower
from rung.core.types import Examples, Field, Prediction, Schema
from rung.improvement.noninferiority_test import row_scores

SCHEMA = Schema((Field("text", "text", "input"),), (Field("n", "number", "output"),))
# Right where the answer is the length of the text.
LENGTH = InputMeanMetric("length", lambda t, a, row: float(a.value == len(row["text"])), binary=True)


def examples(n=60):
    units = [f"{i + 1:016x}" for i in range(n)]
    return Examples(SCHEMA, {"text": ["x" * (i % 7) for i in range(n)]}, [0] * n, units, range(n), [0.0] * n)


def answers(n=60, wrong=3):
    return [Prediction(i % 7 if i >= wrong else -1) for i in range(n)]


def test_scores_bounds_and_values_see_the_inputs():
    rows = ScoredRows.of(examples(), answers())
    assert scored.score(LENGTH, rows) == 57 / 60
    assert scored.bound(LENGTH, rows, 0.05).value == proportion_lower(57, 60, 0.05)
    assert scored.values(LENGTH, rows).sum() == 57
    assert scored.score(LENGTH, rows.take([0, 1, 2, 3])) == 0.25
    assert row_scores(LENGTH, rows).sum() == 57


def test_without_inputs_it_says_so():
    with pytest.raises(ValueError, match="length reads the inputs of the rows"):
        LENGTH.score([0], [Prediction(0)], SCHEMA)


def test_a_bootstrap_picks_the_inputs_of_the_rows_it_draws():
    class Wide(InputMeanMetric):
        least, greatest = -np.inf, np.inf

    wide = Wide("wide", lambda t, a, row: float(a.value - len(row["text"])))
    found = scored.bound(wide, ScoredRows.of(examples(), answers(wrong=30)), 0.05)
    assert not found.exact and -4.0 < found.value < wide.score(
        [0] * 60, answers(wrong=30), SCHEMA, examples().inputs
    )


def test_evaluation_and_certificate_pass_them(tmp_path):
    rows = examples()
    held = evaluate.Evaluation(
        tuple(range(30, 60)),
        (0,) * 30,
        tuple(rows.units[30:]),
        tuple(answers()[30:]),
        {"how": "part", "folds": 1},
        frozenset(range(30, 60)),
    )
    assert evaluate.scores(held, [LENGTH], rows) == {"length": 1.0}
    assert evaluate.interval(held, LENGTH, rows, 0.95)[1] > 0.99
    assert evaluate.predicted_bound(held, LENGTH, rows, 60, 0.05).exact
    needs = [Requirement(Condition(metric="length", at_least=0.8), LENGTH)]
    lock = CertificateLock(tmp_path / "certificate.lock")
    look = certify.begin_look(rows, "a", needs, 0.95, lock)
    assert certify.certify(look, needs, rows, answers(), lock).passed


def test_a_metric_of_before_needs_no_inputs():
    class Old(MeanMetric):
        def score(self, truths, answers, schema):
            return 0.25

        def values(self, truths, answers):
            return np.full(len(truths), 0.25)

        def bound(self, truths, answers, schema, units, alpha):
            return mean_lower(self.values(truths, answers), 0.0, 1.0, alpha)

    rows = ScoredRows.of(examples(), answers())
    old = Old("old", lambda t, a: 0.25)
    assert scored.score(old, rows) == 0.25
    assert scored.values(old, rows).tolist() == [0.25] * 60
    assert scored.bound(old, rows, 0.05) == mean_lower(np.full(60, 0.25), 0.0, 1.0, 0.05)
    assert LogLoss("log_loss").values([0], [Prediction(0)]) is None
