"""Decide on held-out rows whether augmented copies of the training rows improve a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.modalities.text.tfidf import TfidfBlock, transform
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.paired_gain import is_significant_gain, search_score
from rung.training.linear.search import SearchResult, fit_weights
from rung.training.linear.stratified import stratified_folds, stratified_sample
from rung.training.text.augmentation import AugmentKind, augment_texts

Ints = npt.NDArray[np.int64]
# Rows used for the comparison: three folds, fitted twice each.
_MAX_ROWS = 3_000


@dataclass(frozen=True)
class AugmentedRows:
    """Augmented rows to fit on, in addition to the real ones. kind: how they were augmented."""

    kind: str
    matrix: FeatureMatrix
    codes: Ints


def search_augmentation(
    texts: Sequence[str],
    blocks: Sequence[TfidfBlock],
    codes: Ints,
    found: SearchResult,
    asked: AugmentKind,
    context: FitContext,
) -> AugmentedRows | None:
    """Return an augmented copy of every row if such copies gain on held-out rows, which are never augmented;
    else None.

    texts: normalised. found: the winner of the search; its head and C are kept.
    """
    if asked == "none":
        return None
    labels = found.scores.shape[1]
    rows = stratified_sample(codes, _MAX_ROWS, context.seed)
    sample = [texts[i] for i in rows.tolist()]
    folds = stratified_folds(codes[rows], 3, context.seed)
    plain = _matrix(sample, blocks)
    before = _out_of_fold_answers(plain, None, codes[rows], found, folds, context.seed)
    for kind in ("words", "chars") if asked == "auto" else (asked,):
        augmented = _matrix(augment_texts(sample, kind, context.seed), blocks)
        after = _out_of_fold_answers(plain, augmented, codes[rows], found, folds, context.seed)
        if is_significant_gain(codes[rows], before, after, labels, search_score(context.goal), context.seed):
            return AugmentedRows(kind, _matrix(augment_texts(texts, kind, context.seed), blocks), codes)
    return None


def vstack_matrices(first: FeatureMatrix, second: FeatureMatrix) -> FeatureMatrix:
    """Return the rows of both matrices as one block."""
    from scipy.sparse import vstack

    return FeatureMatrix((vstack([first.joined(), second.joined()], format="csr"),))


def _matrix(texts: Sequence[str], blocks: Sequence[TfidfBlock]) -> FeatureMatrix:
    from scipy.sparse import csr_matrix

    rows = transform(texts, blocks)
    cells = (rows.values.astype(np.float64), rows.columns, rows.starts)
    return FeatureMatrix((csr_matrix(cells, (len(texts), rows.width)),))


def _out_of_fold_answers(
    plain: FeatureMatrix,
    augmented: FeatureMatrix | None,
    codes: Ints,
    found: SearchResult,
    folds: Sequence[tuple[Ints, Ints]],
    seed: int,
) -> Ints:
    """Return each row's label by a head fitted on the other folds, with their augmented copies if given."""
    labels = found.scores.shape[1]
    answers = np.zeros(len(codes), dtype=np.int64)
    for train, test in folds:
        matrix, truths = plain.take(train), codes[train]
        if augmented is not None:
            matrix, truths = vstack_matrices(matrix, augmented.take(train)), np.concatenate([truths, truths])
        weights, bias = fit_weights(matrix, truths, labels, found.candidate, seed)
        answers[test] = (plain.take(test).dot(weights) + bias).argmax(axis=1)
    return answers
