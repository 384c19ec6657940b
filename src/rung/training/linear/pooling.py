"""Weights by which the probabilities of several models are averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_STEPS = 500


def pooling_weights(members: Sequence[Floats], codes: Ints) -> Floats:
    """Return non-negative weights [members] that sum to 1 and minimise the log loss of the weighted mean.

    members: of each, probabilities [rows, labels] of rows that it did not learn from. The loss is convex in the weights;
    they are found by expectation maximisation (Jordan & Jacobs 1994), whose steps never raise it.
    """
    own = np.stack([found[np.arange(len(codes)), codes] for found in members], axis=1).clip(1e-9)
    weights = np.full(len(members), 1.0 / len(members))
    for _ in range(_STEPS):
        joint = own * weights
        updated = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(updated - weights).max() < 1e-6:
            return np.asarray(updated)
        weights = updated
    return weights
