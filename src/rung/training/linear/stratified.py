"""Pick rows with every label in its share: samples and folds, the same for the same seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rung.core.folds import assign_folds, train_test_rows

Ints = npt.NDArray[np.int64]


def stratified_sample(codes: Ints, most: int, seed: int) -> Ints:
    """Return at most `most` row numbers, ascending, with every label in its share and at least two rows each."""
    if len(codes) <= most:
        return np.arange(len(codes))
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(codes))
    rank = _rank_in_label(codes[shuffled])
    quota = np.maximum(np.bincount(codes) * most // len(codes), 2)
    return np.sort(shuffled[rank < quota[codes[shuffled]]])


def stratified_folds(codes: Ints, folds: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Return (train, test) row numbers of each fold, every label spread as evenly as it goes."""
    order = np.argsort(np.random.default_rng(seed).permutation(len(codes)))
    # Labels start at different folds: otherwise single rows of many labels would all land in the first one.
    fold = assign_folds(folds, np.arange(len(codes)), codes, order, start_at_label=True)
    return train_test_rows(fold, folds)


def _rank_in_label(codes: Ints) -> Ints:
    """Return how many rows of the same label stand before each row."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(len(codes), dtype=np.int64)
    rank[order] = np.arange(len(codes)) - begins[codes[order]]
    return rank
