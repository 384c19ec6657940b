"""Implicit alternating least squares: factors of items, users folded in later."""

from __future__ import annotations

from typing import Any

import numpy as np

from rung.core.errors import FitCancelled
from rung.core.model import FitContext
from rung.modalities.recommendation.scorers import FoldIn
from rung.training.recommendation.interactions import Floats, Interactions


def als(
    people: Interactions, rank: int, ridge: float, confidence: float, rounds: int, context: FitContext
) -> FoldIn:
    """Return factors of items by alternating ridge regressions (Hu, Koren & Volinsky 2008).

    Seen cells have the target 1 and the weight 1 + confidence, all others the target 0 and the weight 1.
    """
    matrix = people.matrix.astype(np.float64).tocsr()
    across = matrix.T.tocsr()
    rng = np.random.default_rng(context.seed)
    items = rng.normal(0.0, 0.1, (matrix.shape[1], rank))
    for done in range(rounds):
        if context.cancelled():
            raise FitCancelled
        users = _solved(matrix, items, ridge, confidence)
        items = _solved(across, users, ridge, confidence)
        context.report(done + 1, rounds)
    return FoldIn(items, ridge, confidence, "als")


def _solved(matrix: Any, other: Floats, ridge: float, confidence: float) -> Floats:
    """Return the factors of each row of the matrix, given those of its columns."""
    gram = other.T @ other + ridge * np.eye(other.shape[1])
    found = np.zeros((matrix.shape[0], other.shape[1]))
    for row in range(matrix.shape[0]):
        own = other[matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]]
        if len(own):
            found[row] = np.linalg.solve(
                gram + confidence * own.T @ own, (1.0 + confidence) * own.sum(axis=0)
            )
    return found
