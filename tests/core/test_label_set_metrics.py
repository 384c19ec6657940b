"""Metrics of sets of labels agree with scikit-learn, and their exact bounds hold as often as they say."""

import numpy as np
import pytest
from sklearn import metrics

from rung.core.errors import RungError
from rung.core.label_sets import marks_of, set_text
from rung.core.metrics.scored import ScoredRows, bound
from rung.core.types import Field, Prediction, Schema
from rung.tasks.text_multilabel import TextMultilabel

LABELS = ("blue", "green", "red", "wide")
SCHEMA = Schema((Field("text", "text", "input"),), (Field("labels", "labels", "output", LABELS),))
TASK = TextMultilabel()
NAMES = (
    "micro_f1", "macro_f1", "subset_accuracy", "hamming_loss", "f1:red", "precision:red", "recall:red",
)  # fmt: skip


def sets(marks):
    return [set_text(label for label, mark in zip(LABELS, row, strict=True) if mark) for row in marks]


def drawn(n, seed):
    """Labels that depend on each other: red rows are wide as well, and a row that is wrong once is often wrong twice."""
    rng = np.random.default_rng(seed)
    true = rng.random((n, 4)) < (0.4, 0.25, 0.3, 0.1)
    true[:, 3] |= true[:, 2] & (rng.random(n) < 0.8)
    hard = rng.random(n) < 0.3
    flipped = rng.random((n, 4)) < np.where(hard, 0.35, 0.05)[:, None]
    return true, true ^ flipped


def rows_of(true, said):
    answers = [Prediction(value) for value in sets(said)]
    units = [f"{i * 2654435761 % 2**40:016x}" for i in range(len(true))]
    return ScoredRows(sets(true), answers, SCHEMA, units, {})


def test_scores_are_those_of_scikit_learn():
    true, said = drawn(300, 0)
    rows = rows_of(true, said)
    column = LABELS.index("red")
    expected = {
        "micro_f1": metrics.f1_score(true, said, average="micro"),
        "macro_f1": metrics.f1_score(true, said, average="macro"),
        "subset_accuracy": metrics.accuracy_score(true, said),
        "hamming_loss": metrics.hamming_loss(true, said),
        "f1:red": metrics.f1_score(true[:, column], said[:, column]),
        "precision:red": metrics.precision_score(true[:, column], said[:, column]),
        "recall:red": metrics.recall_score(true[:, column], said[:, column]),
    }
    for name in NAMES:
        found = TASK.metric(name, SCHEMA).score(rows.truths, rows.answers, SCHEMA)
        assert found == pytest.approx(expected[name]), name
    (one,) = [
        line
        for line in TASK.details(rows.truths, rows.answers, SCHEMA)["per_label"]
        if line["label"] == "red"
    ]
    assert one["f1"] == pytest.approx(expected["f1:red"], abs=1e-4)
    assert one["rows"] == true[:, column].sum() and one["answers"] == said[:, column].sum()


@pytest.mark.parametrize("name", NAMES)
def test_exact_bounds_hold_as_often_as_they_say(name):
    """At error 0.1 a bound misses the truth in at most a tenth of 200 draws; five standard errors are allowed."""
    metric = TASK.metric(name, SCHEMA)
    whole = rows_of(*drawn(40_000, 99))
    truth = metric.score(whole.truths, whole.answers, SCHEMA)
    wrong = 0
    for seed in range(200):
        found = bound(metric, rows_of(*drawn(80, seed)), 0.1)
        assert found.exact
        wrong += found.value > truth if metric.higher_is_better else found.value < truth
    assert wrong <= 20 + 5 * (200 * 0.1 * 0.9) ** 0.5


def test_bounds_tighten_with_rows_and_groups_are_bootstrapped():
    metric = TASK.metric("micro_f1", SCHEMA)
    few, many = (bound(metric, rows_of(*drawn(n, 1)), 0.05) for n in (100, 1_500))
    true, said = drawn(1_500, 1)
    reached = metric.score(sets(true), [Prediction(value) for value in sets(said)], SCHEMA)
    assert few.value < many.value < reached < many.value + 0.05
    rows = rows_of(true[:200], said[:200])
    shared = [f"{i % 40:016x}" for i in range(200)]
    assert not bound(metric, ScoredRows(rows.truths, rows.answers, SCHEMA, shared, {}), 0.05).exact


def test_a_metric_of_a_label_that_is_not_there():
    with pytest.raises(RungError, match="names no label of the data") as caught:
        TASK.metric("recall:redd", SCHEMA)
    assert "red" in caught.value.fix
    with pytest.raises(RungError, match="has no metric 'accuracy'"):
        TASK.metric("accuracy", SCHEMA)


def test_marks_leave_out_labels_that_are_not_known():
    assert marks_of([set_text(["red", "old"]), set_text([])], LABELS).tolist() == [[0, 0, 1, 0], [0] * 4]
