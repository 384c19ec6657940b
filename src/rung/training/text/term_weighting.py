"""Weigh n-grams by how differently two labels use them: what leans neither way counts half of what does on average.

The log-count ratios of naive Bayes as scales of a linear model's features, half way between the ratios and their mean
(Wang & Manning 2012). For two labels alone: there the ratio is one number. Weights learned from a row's label lean
towards it, so whatever is scored out of fold learns them from the other folds.
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
_SHARE = 0.5
# Rows and filled cells that the comparison looks at.
_MAX_ROWS, _MAX_CELLS = 5_000, 4_000_000
_MIN_ROWS = 200
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class WeightedFeatures:
    """Features weighed by label. found: the search's winner with the scores that calibrate the last fit."""

    matrix: FeatureMatrix
    blocks: tuple[TfidfBlock, ...]
    found: SearchResult


def weight_terms_by_label(
    matrix: FeatureMatrix, blocks: Sequence[TfidfBlock], codes: Ints, found: SearchResult, context: FitContext
) -> WeightedFeatures | None:
    """Return the features weighed by two labels where that answers held-out rows no worse; else None.

    matrix: of all rows, the n-grams' blocks first, in the order of `blocks`. found: the search's winner, whose head and
    C the comparison keeps. Each fold's rows are answered with weights of the other folds.
    """
    labels = found.scores.shape[1]
    if labels != 2 or len(codes) < _MIN_ROWS or len(np.unique(codes)) < 2:
        return None
    affordable = int(_MAX_CELLS / max(matrix.cells / matrix.shape[0], 1.0))
    rows = stratified_sample(codes, min(max(affordable, 1_000), _MAX_ROWS), context.seed)
    some, truths = matrix.take(rows), codes[rows]
    right, scores = [], np.zeros((len(rows), labels))
    for weigh in (False, True):
        for train, test in stratified_folds(truths, 3, context.seed):
            learn, ask = some.take(train), some.take(test)
            if weigh:
                factors = _term_weights(learn, len(blocks), truths[train])
                learn, ask = _scale_columns(learn, factors), _scale_columns(ask, factors)
            weights, bias = fit_weights(learn, truths[train], labels, found.candidate, context.seed)
            scores[test] = ask.dot(weights) + bias
        right.append(int((scores.argmax(axis=1) == truths).sum()))
    if right[1] < right[0]:
        return None
    factors = _term_weights(matrix, len(blocks), codes)
    weighed = tuple(
        replace(block, idf=(block.idf * factor).astype(np.float32))
        for block, factor in zip(blocks, factors, strict=True)
    )
    return WeightedFeatures(
        _scale_columns(matrix, factors), weighed, replace(found, calibration_scores=(scores, rows))
    )


def _term_weights(matrix: FeatureMatrix, sparse: int, codes: Ints) -> list[Floats]:
    """Return a positive factor for each column of the first blocks, 1 on average over their columns."""
    counts = np.bincount(codes, minlength=2)
    found = []
    for block in matrix.blocks[:sparse]:
        each = [
            1.0 + np.bincount(block[codes == label].indices, minlength=block.shape[1]) for label in (0, 1)
        ]
        ratio = np.abs(np.log(each[1] / (counts[1] + 1.0)) - np.log(each[0] / (counts[0] + 1.0)))
        found.append(1.0 - _SHARE + _SHARE * ratio / max(float(ratio.mean()), 1e-12))
    return found


def _scale_columns(matrix: FeatureMatrix, factors: Sequence[Floats]) -> FeatureMatrix:
    """Return the first blocks with their columns times the factors, each row as long as before."""
    first = (_scale_block(block, factor) for block, factor in zip(matrix.blocks, factors, strict=False))
    return FeatureMatrix((*first, *matrix.blocks[len(factors) :]))


def _scale_block(block: Any, factor: Floats) -> Any:
    """Return a CSR block with scaled columns; its places are shared with the one given, not copied."""
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
