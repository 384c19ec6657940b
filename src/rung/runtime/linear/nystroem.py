"""Nystroem approximation of a Gaussian kernel: a linear head over its features has non-linear borders.

The kernel exp(-|a - b|^2) (Williams & Seeger 2001): vectors are centred, scaled to a mean squared length of 1
and rotated to their principal axes, of which the first carry nearly all; landmarks are training rows. Two
thousand landmarks on 256 axes were nearly as good as the exact kernel on Chinese reviews, and almost a point
better than the vectors themselves (docs/log.md). Labels are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Halves = npt.NDArray[np.float16]
_MAX_AXES = 256
_MAX_LANDMARKS = 2_000
# Eigenvectors with smaller eigenvalues add nothing at a ridge penalty of about 1; scaling them would only
# amplify rounding.
_MIN_EIGENVALUE = 1e-2
_ROWS_AT_ONCE = 2_048
_PREFIX = "curves."


@dataclass(frozen=True)
class Nystroem:
    """directions: float16 [width, axes], scaled. centre: float32 [axes], in these axes. landmarks: float16
    [count, axes].
    """

    directions: Halves
    centre: npt.NDArray[np.float32]
    landmarks: Halves

    @property
    def count(self) -> int:
        return len(self.landmarks)

    def dot(
        self, vectors: npt.NDArray[Any], weights: npt.NDArray[Any], kind: npt.DTypeLike = np.float64
    ) -> npt.NDArray[Any]:
        """Return [rows, outputs]: kernel values of each vector and landmark, from 0 to 1, @ weights [count,
        outputs].
        """
        directions, landmarks = self._as_float64
        out = np.empty((len(vectors), weights.shape[1]), kind)
        for begin in range(0, len(vectors), _ROWS_AT_ONCE):
            piece = slice(begin, begin + _ROWS_AT_ONCE)
            rotated = vectors[piece].astype(np.float64) @ directions - self.centre
            out[piece] = _gaussian_kernel(rotated, landmarks) @ weights
        return out

    @cached_property
    def _as_float64(self) -> tuple[Floats, Floats]:
        return self.directions.astype(np.float64), self.landmarks.astype(np.float64)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors that `from_tensors` reads."""
        return {
            f"{_PREFIX}directions": self.directions,
            f"{_PREFIX}centre": self.centre,
            f"{_PREFIX}landmarks": self.landmarks,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self | None:
        """Return the map among a model's tensors; None when there is none."""
        if f"{_PREFIX}landmarks" not in tensors:
            return None
        return cls(*(tensors[_PREFIX + name] for name in ("directions", "centre", "landmarks")))


def fit_nystroem(vectors: Floats, seed: int) -> tuple[Nystroem, Floats]:
    """Return the map of training vectors, and weights [count, features] with which `Nystroem.dot` gives
    features.

    The inner products of the features approximate the kernel.
    """
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    spread = float(np.sqrt((centred**2).sum(axis=1).mean())) or 1.0
    _, axes = np.linalg.eigh(centred.T @ centred)
    # Rounded once, before training: the served map is the trained one.
    directions = (axes[:, ::-1][:, :_MAX_AXES] / spread).astype(np.float16)
    rotated = directions.astype(np.float64)
    centre = (mean @ rotated).astype(np.float32)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:_MAX_LANDMARKS])
    landmarks = (vectors[chosen] @ rotated - centre).astype(np.float16)
    nystroem = Nystroem(directions, centre, landmarks)
    _, doubles = nystroem._as_float64
    eigenvalues, eigenvectors = np.linalg.eigh(_gaussian_kernel(doubles, doubles))
    kept = eigenvalues > _MIN_EIGENVALUE
    return nystroem, eigenvectors[:, kept] / np.sqrt(eigenvalues[kept])


def _gaussian_kernel(rows: Floats, landmarks: Floats) -> Floats:
    """Return [rows, landmarks]: exp(-|row - landmark|^2)."""
    squared_distances = (rows**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2.0 * rows @ landmarks.T
    return np.asarray(np.exp(-np.maximum(squared_distances, 0.0)))
