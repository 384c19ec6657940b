"""Which rows are held out to score a rung."""

from collections import Counter

import numpy as np
import pytest

from rung.building.evaluate import Evaluation, folds, interval, predicted_bound, scores
from rung.core.folds import planned_folds
from rung.core.metrics.base import MacroF1, MeanMetric, RocAuc
from rung.core.types import Examples, Field, Prediction, Schema
from rung.data.prepare.hashing import hash64

SCHEMA = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", ("a", "b")),))


def examples(labels: list[str]) -> Examples:
    n = len(labels)
    texts = [f"text {i}" for i in range(n)]
    # Units in an order that has nothing to do with the rows', like hashes.
    units = [f"{i * 2654435761 % 2**32:016x}" for i in range(n)]
    return Examples(SCHEMA, {"text": texts}, labels, units, list(range(n)), [0.0] * n)


@pytest.mark.parametrize("rows", [5_000, 24_000, 26_000, 120_000])
def test_a_sorted_source_is_held_out_evenly(rows: int) -> None:
    """A source may have all rows of one label, author or month first: a part must not be its first rows."""
    labels = ["a"] * (rows * 9 // 10) + ["b"] * (rows // 10)
    [(train, test)], how = folds(examples(labels))
    assert how["how"] == "part"
    assert not set(train) & set(test) and len(train) + len(test) == rows
    assert 1_000 <= len(test) <= 5_000
    found = Counter(labels[i] for i in test)
    assert found["b"] == pytest.approx(len(test) / 10, rel=0.15)
    assert max(test) > rows * 0.99 and min(test) < rows * 0.01


def test_few_rows_are_all_scored() -> None:
    split, _ = folds(examples(["a", "b"] * 300))
    assert sorted(i for _, test in split for i in test) == list(range(600))


@pytest.mark.parametrize("rows", [40, 999, 1_000, 4_999, 5_000])
def test_folds_are_counted_without_making_them(rows: int) -> None:
    some = examples(["a", "b"] * (rows // 2))
    assert planned_folds(rows, by_time=False) == len(folds(some).parts)


@pytest.mark.parametrize("rows", [400, 3_000, 6_000])
def test_a_fit_of_minutes_is_scored_on_one_part(rows: int) -> None:
    some = examples(["a", "b"] * (rows // 2))
    [(train, test)], how = folds(some, fit_seconds=121.0)
    assert how == {"how": "part", "folds": 1} and planned_folds(rows, False, 121.0) == 1
    assert not set(train) & set(test) and len(train) + len(test) == rows
    assert len(test) == pytest.approx(rows / 5, rel=0.05)
    assert folds(some, fit_seconds=119.0) == folds(some)


def test_scores_of_groups_count_groups_alike_as_their_bound_does() -> None:
    """One easy group with most rows: by rows 0.97, by groups 0.7."""
    sizes = [970] + [1] * 30
    units = [f"{hash64(f'group {g}'):016x}" for g, size in enumerate(sizes) for _ in range(size)]
    n = len(units)
    right = np.r_[np.ones(970), np.arange(30) < 20]
    rows = Examples(SCHEMA, {"text": [f"t{i}" for i in range(n)]}, ["a"] * n, units, range(n), [0.0] * n)
    answers = tuple(Prediction("a" if ok else "b") for ok in right)
    found = Evaluation(tuple(range(n)), tuple(["a"] * n), tuple(units), answers, {}, frozenset())
    accuracy = MeanMetric("accuracy", lambda truth, answer: float(truth == answer.value), binary=True)
    score = scores(found, [accuracy], rows)["accuracy"]
    low, high = interval(found, accuracy, rows, 0.95)
    assert score == pytest.approx(21 / 31, abs=1e-5)
    assert low < score < high < 0.85
    assert predicted_bound(found, accuracy, rows, 31, 0.05).value < score
    # A metric that is no mean of values per row has no other score than that of the rows.
    by_rows = MacroF1("macro_f1")
    assert scores(found, [by_rows], rows)["macro_f1"] == pytest.approx(0.497, abs=0.002)


def test_a_bound_that_says_nothing_is_expected_to_be_the_worst() -> None:
    """A constant answer in groups: the bootstrap has no spread, so its bound is minus infinity."""
    units = [f"{hash64(f'group {i // 2}'):016x}" for i in range(100)]
    targets = ["a" if i % 2 else "b" for i in range(100)]
    rows = Examples(SCHEMA, {"text": [f"t{i}" for i in range(100)]}, targets, units, range(100), [0.0] * 100)
    answers = tuple(Prediction("a", extra={"probabilities": np.array([0.6, 0.4])}) for _ in range(100))
    found = Evaluation(tuple(range(100)), tuple(targets), tuple(units), answers, {}, frozenset())
    expected = predicted_bound(found, RocAuc("a"), rows, 50, 0.05)
    assert (expected.value, expected.chance(0.7), expected.level_at(0.8)) == (0.0, 0.0, 0.0)
