"""Weight n-grams by how differently two labels use them: n-grams used alike get half of the average weight.

The log-count ratios of naive Bayes scale the features of a linear model, interpolated half way with their
mean (Wang & Manning 2012). For two labels only: there the ratio is one number. Weights depend on the labels,
so whatever is scored out of fold uses weights of the other folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.modalities.text.tfidf import TfidfBlock
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.search import SearchResult, fit_weights
from rung.training.linear.stratified import stratified_folds, stratified_sample

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_INTERPOLATION = 0.5
# Rows and nonzero values used for the comparison.
_MAX_ROWS, _MAX_CELLS = 5_000, 4_000_000
_MIN_ROWS = 200
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class WeightedFeatures:
    """Features weighted by label. found: the search's winner, with scores to calibrate the final fit on."""

    matrix: FeatureMatrix
    blocks: tuple[TfidfBlock, ...]
    found: SearchResult


def weight_terms_by_label(
    matrix: FeatureMatrix, blocks: Sequence[TfidfBlock], codes: Ints, found: SearchResult, context: FitContext
) -> WeightedFeatures | None:
    """Return the features weighted by two labels where that predicts held-out rows no worse; else None.

    matrix: of all rows, the n-gram blocks first, in the order of `blocks`. found: the search's winner; its
    head and C are kept. Each fold's rows are predicted with weights of the other folds.
    """
    labels = found.scores.shape[1]
    if labels != 2 or len(codes) < _MIN_ROWS or len(np.unique(codes)) < 2:
        return None
    affordable_rows = int(_MAX_CELLS / max(matrix.cells / matrix.shape[0], 1.0))
    rows = stratified_sample(codes, min(max(affordable_rows, 1_000), _MAX_ROWS), context.seed)
    sample, truths = matrix.take(rows), codes[rows]
    correct, scores = [], np.zeros((len(rows), labels))
    for is_weighted in (False, True):
        for train, test in stratified_folds(truths, 3, context.seed):
            train_rows, test_rows = sample.take(train), sample.take(test)
            if is_weighted:
                factors = _term_weights(train_rows, len(blocks), truths[train])
                train_rows, test_rows = (
                    _scale_columns(train_rows, factors),
                    _scale_columns(test_rows, factors),
                )
            weights, bias = fit_weights(train_rows, truths[train], labels, found.candidate, context.seed)
            scores[test] = test_rows.dot(weights) + bias
        correct.append(int((scores.argmax(axis=1) == truths).sum()))
    if correct[1] < correct[0]:
        return None
    factors = _term_weights(matrix, len(blocks), codes)
    weighted = tuple(
        replace(block, idf=(block.idf * factor).astype(np.float32))
        for block, factor in zip(blocks, factors, strict=True)
    )
    return WeightedFeatures(
        _scale_columns(matrix, factors), weighted, replace(found, calibration_scores=(scores, rows))
    )


def _term_weights(matrix: FeatureMatrix, sparse: int, codes: Ints) -> list[Floats]:
    """Return a positive factor for each column of the first blocks, with a mean of 1."""
    counts = np.bincount(codes, minlength=2)
    found = []
    for block in matrix.blocks[:sparse]:
        each = [
            1.0 + np.bincount(block[codes == label].indices, minlength=block.shape[1]) for label in (0, 1)
        ]
        ratio = np.abs(np.log(each[1] / (counts[1] + 1.0)) - np.log(each[0] / (counts[0] + 1.0)))
        found.append(1.0 - _INTERPOLATION + _INTERPOLATION * ratio / max(float(ratio.mean()), 1e-12))
    return found


def _scale_columns(matrix: FeatureMatrix, factors: Sequence[Floats]) -> FeatureMatrix:
    """Return the matrix with the columns of the first blocks scaled; the length of each row is kept."""
    first = (_scale_block(block, factor) for block, factor in zip(matrix.blocks, factors, strict=False))
    return FeatureMatrix((*first, *matrix.blocks[len(factors) :]))


def _scale_block(block: Any, factor: Floats) -> Any:
    """Return a CSR block with scaled columns; it shares the indices of the given one."""
    from scipy.sparse import csr_matrix

    data = np.empty_like(block.data)
    for begin in range(0, block.shape[0], _ROWS_AT_ONCE):
        starts = block.indptr[begin : begin + _ROWS_AT_ONCE + 1]
        piece = slice(starts[0], starts[-1])
        rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        old = block.data[piece]
        new = old * factor[block.indices[piece]]
        before, after = (np.bincount(rows, each * each, len(starts) - 1) for each in (old, new))
        data[piece] = new * np.sqrt(before / np.maximum(after, 1e-300))[rows]
    return csr_matrix((data, block.indices, block.indptr), block.shape)
