"""Cross-validation folds for fitting tables; rows of one unit stay in one fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rung.core.folds import assign_folds, train_test_rows
from rung.training.tables.objective import Ints

# Rows that candidates are compared on, by effort: larger tables are compared on a part.
_ROWS = {0: 5_000, 1: 10_000, 2: 40_000, 3: 80_000, 4: 150_000, 5: 300_000}


def selection_folds(codes: Ints, units: Sequence[str], effort: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Return (train, test) rows of each fold for model selection, stratified by `codes`.

    Small tables get five folds (three at low effort, ten at high effort), larger ones a single split with a
    fifth held out, very large ones a single split with a fixed number of rows.
    """
    n = len(codes)
    count = 3 if effort < 2 or n > 10_000 else 5 if n > 300 or effort < 3 else 10
    member, order = _shuffled_groups(units, seed)
    fold = assign_folds(count, member, codes, order)
    if n <= 10_000:
        return train_test_rows(fold, count)
    # One split is enough to tell candidates apart; its share of a larger table shrinks.
    most = _ROWS[effort]
    test = np.flatnonzero(fold == 0)
    test = test[:: max(len(test) * 4 // most, 1)]
    train = np.flatnonzero(fold != 0)
    return [(train[:: max(len(train) // most, 1)], test)]


def group_folds(units: Sequence[str], seed: int) -> list[tuple[Ints, Ints]]:
    """Return (train, test) rows of at most five folds whose tests together hold every row once."""
    member, order = _shuffled_groups(units, seed + 7)
    folds = train_test_rows(assign_folds(5, member, order=order), 5)
    return [(train, test) for train, test in folds if len(test)]


def _shuffled_groups(units: Sequence[str], seed: int) -> tuple[Ints, Ints]:
    """Return the group number of each row and a random rank of each group."""
    _, member = np.unique(np.asarray(units), return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(member.max(initial=-1)) + 1)
    return member.astype(np.int64), order
