"""Which rows are held out to score a rung."""

from collections import Counter

import pytest

from rung.building.evaluate import folds
from rung.core.folds import planned_folds
from rung.core.types import Examples, Field, Schema

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
