"""Whether a head over n-grams and an encoder's vectors gains by curved borders, found out on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.runtime.curves import Curves, Floats, learn_curves
from rung.runtime.feature_matrix import FeatureMatrix
from rung.runtime.gains import score_of
from rung.runtime.head_search import Found, out_of_fold
from rung.runtime.linear_head import LinearHead
from rung.runtime.row_samples import sample

Ints = npt.NDArray[np.int64]
# With fewer rows flat borders were as good (ten newsgroups of a hundred), and landmarks cost their place in the bundle.
_FEWEST_ROWS = 2_000
_MOST_ROWS = 5_000


@dataclass(frozen=True)
class Bent:
    """matrix: with closeness to landmarks in the last block. found: the search's winner, with the scores that calibrate."""

    matrix: FeatureMatrix
    found: Found
    curves: Curves
    weights: Floats

    def unfolded(self, head: LinearHead) -> LinearHead:
        """Return a head fitted on `matrix` for `Curves.dot`: its last weights are of landmarks."""
        features = self.weights.shape[1]
        last = (self.weights @ head.weights[-features:].astype(np.float64)).astype(np.float32)
        return replace(head, weights=np.concatenate([head.weights[:-features], last]))


def bend(
    matrix: FeatureMatrix,
    vectors: npt.NDArray[Any],
    codes: Ints,
    found: Found,
    wanted: bool | None,
    context: FitContext,
) -> Bent | None:
    """Return the features with closeness for vectors, where wanted; None: where it answers held-out rows no worse.

    matrix: of all rows, the encoder's block last. Of as many rows as learn in the comparison curves gain less than of
    all, so that a tie goes to them. Landmarks are rows as they come, whatever their label: held-out rows may be among them.
    """
    undecided = wanted is None
    if wanted is False or (undecided and (len(codes) < _FEWEST_ROWS or context.effort < 2)):
        return None
    if undecided and found.candidate.head != "ridge":
        return None
    curves, weights = learn_curves(vectors, context.seed)
    features = curves.dot(vectors, weights, np.float32)
    labels, rows = found.scores.shape[1], sample(codes, _MOST_ROWS, context.seed)
    curved = FeatureMatrix((*matrix.blocks[:-1], features))
    scores = out_of_fold((matrix, curved), codes, labels, found.candidate, rows, context.seed)
    score, alike = score_of(context.goal), np.ones(len(rows))
    before, after = (score(codes[rows], each.argmax(axis=1), alike, labels) for each in scores)
    if undecided and after < before:
        return None
    return Bent(curved, replace(found, held=(scores[1], rows)), curves, weights)
