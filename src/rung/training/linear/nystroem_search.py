"""Compare a linear head on an encoder's vectors with one on their Nystroem kernel map, on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.runtime.linear.head import LinearHead
from rung.runtime.linear.nystroem import Floats, Nystroem, fit_nystroem
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.paired_gain import search_score
from rung.training.linear.search import SearchResult, out_of_fold_scores
from rung.training.linear.stratified import stratified_sample

Ints = npt.NDArray[np.int64]
# With fewer rows linear borders were as good (ten newsgroups of a hundred), and landmarks take space in the
# bundle.
_MIN_ROWS = 2_000
_MAX_ROWS = 5_000
# C of a ridge over n-grams and kernel values.
_STRENGTHS = (0.15, 0.3, 0.6, 1.2)


@dataclass(frozen=True)
class NystroemFit:
    """matrix: features with the kernel map as their last block. found: the search's winner, with scores to
    calibrate on.
    """

    matrix: FeatureMatrix
    found: SearchResult
    nystroem: Nystroem
    weights: Floats

    def map_to_kernel(self, head: LinearHead) -> LinearHead:
        """Return a head fitted on `matrix` with its last weights converted to landmarks, for `Nystroem.dot`."""
        features = self.weights.shape[1]
        last = (self.weights @ head.weights[-features:].astype(np.float64)).astype(np.float32)
        return replace(head, weights=np.concatenate([head.weights[:-features], last]))


def search_nystroem(
    matrix: FeatureMatrix,
    vectors: npt.NDArray[Any],
    codes: Ints,
    found: SearchResult,
    wanted: bool | None,
    context: FitContext,
    strengths: Sequence[float] = (),
) -> NystroemFit | None:
    """Return the features with the kernel map in place of the vectors; None where it predicts held-out rows
    worse.

    matrix: of all rows, the encoder's block last. wanted: True or False decides without comparing. strengths:
    values of C tried for a ridge, () for the defaults. On the comparison's rows the map gains less than on
    all rows, so ties go to it. Landmarks are sampled rows, whatever their label: held-out rows may be among
    them.
    """
    is_ridge, undecided = found.candidate.head == "ridge", wanted is None
    if wanted is False or (undecided and (len(codes) < _MIN_ROWS or context.effort < 2 or not is_ridge)):
        return None
    kernel_map, weights = fit_nystroem(vectors, context.seed)
    with_kernel = FeatureMatrix((*matrix.blocks[:-1], kernel_map.dot(vectors, weights, np.float32)))
    labels, rows = found.scores.shape[1], stratified_sample(codes, _MAX_ROWS, context.seed)
    candidates = [
        replace(found.candidate, c=c) for c in (strengths or _STRENGTHS if is_ridge else (found.candidate.c,))
    ]
    tries = ((matrix, [found.candidate]), (with_kernel, candidates))
    (linear_scores,), kernel_scores = out_of_fold_scores(tries, codes, labels, rows, context.seed)
    # Squared error distinguishes values of C on far fewer rows than accuracy does.
    truths = np.where(codes[rows][:, None] == np.arange(labels), 1.0, -1.0)
    best = int(np.argmin([((scores - truths) ** 2).mean() for scores in kernel_scores]))
    score, equal_weights = search_score(context.goal), np.ones(len(rows))
    before, after = (
        score(codes[rows], each.argmax(axis=1), equal_weights, labels)
        for each in (linear_scores, kernel_scores[best])
    )
    if undecided and after < before:
        return None
    return NystroemFit(
        with_kernel,
        replace(found, candidate=candidates[best], calibration_scores=(kernel_scores[best], rows)),
        kernel_map,
        weights,
    )
