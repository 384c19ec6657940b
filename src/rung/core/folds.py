"""Assign rows to cross-validation folds: groups stay whole, labels are spread evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

# From so many rows on one part is held out: its score is exact enough, and folds would cost as many fits.
ONE_PART_ROWS = 5_000
# A fit planned to take longer than this is not repeated for each fold either.
ONE_PART_SECONDS = 120.0


def planned_folds(rows: int, by_time: bool, fit_seconds: float = 0.0) -> int:
    """Return how many times a rung is fitted to be scored on rows held out: five times below 1,000 rows, three below
    5,000, else once. Once too where rows have a time, and where a fit is planned to take more than two minutes.
    """
    if by_time or rows >= ONE_PART_ROWS or fit_seconds > ONE_PART_SECONDS:
        return 1
    return 5 if rows < 1_000 else 3


def assign_folds(
    n_folds: int,
    groups: Sequence[Any] | Ints,
    labels: Sequence[Any] | Ints | None = None,
    order: Ints | None = None,
    start_at_label: bool = False,
) -> Ints:
    """Return the fold number of each row, in [0, n_folds).

    Groups are sorted by label, then by `order`, and dealt to the folds in turn.

    groups: group of each row; rows of one group share a fold. labels: label of each row, to stratify by; a group takes
    the label of its first row. Integer arrays are codes from 0 on; other values are numbered in sorted order. order:
    [groups], rank of each group within its label; None sorts by group. start_at_label: deal each label from the fold
    of its own number on, instead of where the label before it ended.
    """
    member = _codes(groups)
    count = int(member.max(initial=-1)) + 1
    first = np.zeros(count, dtype=np.int64)
    if labels is not None:
        first[member[::-1]] = _codes(labels)[::-1]
    sequence = np.lexsort((np.arange(count) if order is None else order, first))
    turn = np.arange(count)
    if start_at_label:
        ordered = first[sequence]
        turn = turn - np.searchsorted(ordered, ordered) + ordered
    fold = np.empty(count, dtype=np.int64)
    fold[sequence] = turn % n_folds
    return fold[member]


def train_test_rows(fold: Ints, n_folds: int) -> list[tuple[Ints, Ints]]:
    """Return (train, test) row numbers of each fold, ascending."""
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]


def _codes(values: Sequence[Any] | Ints) -> Ints:
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return values
    number = {value: place for place, value in enumerate(sorted(set(values)))}
    return np.fromiter((number[value] for value in values), np.int64, len(values))
