"""Stratified samples and folds, deterministic for a seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rung.core.folds import assign_folds, train_test_rows

Ints = npt.NDArray[np.int64]


def stratified_sample(codes: Ints, max_rows: int, seed: int) -> Ints:
    """Return at most `most` row numbers, ascending, stratified by label, with at least two rows of each
    label.
    """
    if len(codes) <= max_rows:
        return np.arange(len(codes))
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(codes))
    rank = _rank_in_label(codes[shuffled])
    quota = np.maximum(np.bincount(codes) * max_rows // len(codes), 2)
    return np.sort(shuffled[rank < quota[codes[shuffled]]])


def stratified_folds(codes: Ints, folds: int, seed: int) -> list[tuple[Ints, Ints]]:
    """Return (train, test) row numbers of each fold, stratified by label."""
    order = np.argsort(np.random.default_rng(seed).permutation(len(codes)))
    # Labels start at different folds: otherwise single rows of many labels would all land in the first one.
    fold = assign_folds(folds, np.arange(len(codes)), codes, order, start_at_label=True)
    return train_test_rows(fold, folds)


def _rank_in_label(codes: Ints) -> Ints:
    """Return for each row the number of earlier rows with the same label."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(len(codes), dtype=np.int64)
    rank[order] = np.arange(len(codes)) - begins[codes[order]]
    return rank
