"""Whether a head over n-grams and an encoder's vectors gains by curved borders, found out on held-out rows."""

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
# With fewer rows flat borders were as good (ten newsgroups of a hundred), and landmarks cost their place in the bundle.
_MIN_ROWS = 2_000
_MAX_ROWS = 5_000
# C of a ridge over n-grams and closeness.
_STRENGTHS = (0.15, 0.3, 0.6, 1.2)


@dataclass(frozen=True)
class NystroemFit:
    """matrix: with closeness to landmarks in the last block. found: the search's winner, with the scores that calibrate."""

    matrix: FeatureMatrix
    found: SearchResult
    nystroem: Nystroem
    weights: Floats

    def map_to_kernel(self, head: LinearHead) -> LinearHead:
        """Return a head fitted on `matrix` for `Nystroem.dot`: its last weights are of landmarks."""
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
    """Return the features with closeness for vectors, where wanted; None: where it answers held-out rows no worse.

    matrix: of all rows, the encoder's block last. strengths: values of C tried for a ridge, () for the usual ones. Of as many rows as learn in the
    comparison curves gain less than of all, so that a tie goes to them. Landmarks are rows as they come, whatever their
    label: held-out rows may be among them.
    """
    is_ridge, undecided = found.candidate.head == "ridge", wanted is None
    if wanted is False or (undecided and (len(codes) < _MIN_ROWS or context.effort < 2 or not is_ridge)):
        return None
    curves, weights = fit_nystroem(vectors, context.seed)
    curved = FeatureMatrix((*matrix.blocks[:-1], curves.dot(vectors, weights, np.float32)))
    labels, rows = found.scores.shape[1], stratified_sample(codes, _MAX_ROWS, context.seed)
    candidates = [
        replace(found.candidate, c=c) for c in (strengths or _STRENGTHS if is_ridge else (found.candidate.c,))
    ]
    tries = ((matrix, [found.candidate]), (curved, candidates))
    (flat,), bent = out_of_fold_scores(tries, codes, labels, rows, context.seed)
    # By squared error, which tells strengths apart on far fewer rows than answers that are right or wrong do.
    truths = np.where(codes[rows][:, None] == np.arange(labels), 1.0, -1.0)
    best = int(np.argmin([((scores - truths) ** 2).mean() for scores in bent]))
    score, alike = search_score(context.goal), np.ones(len(rows))
    before, after = (score(codes[rows], each.argmax(axis=1), alike, labels) for each in (flat, bent[best]))
    if undecided and after < before:
        return None
    return NystroemFit(
        curved,
        replace(found, candidate=candidates[best], calibration_scores=(bent[best], rows)),
        curves,
        weights,
    )
