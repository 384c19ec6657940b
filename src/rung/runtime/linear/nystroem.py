"""Closeness to example vectors as features: a linear head over them draws curved borders through an embedding.

The Gaussian kernel exp(-|a - b|^2) after Nystroem's method (Williams & Seeger 2001): vectors are centred, scaled to a mean
squared length of 1 and turned to their principal axes, of which the first carry nearly all; landmarks are training
rows. Two thousand landmarks on 256 axes were nearly level with the exact kernel on Chinese reviews, and most of a point above
the vectors themselves (docs/log.md). The labels have no part in it.
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
# Directions among the landmarks that say less than this say nothing beside a ridge's penalty of about 1, and their
# scale would only magnify rounding.
_MIN_EIGENVALUE = 1e-2
_ROWS_AT_ONCE = 2_048
_PREFIX = "curves."


@dataclass(frozen=True)
class Nystroem:
    """directions: float16 [width, axes], scaled. centre: float32 [axes], in these axes. landmarks: float16 [count, axes]."""

    directions: Halves
    centre: npt.NDArray[np.float32]
    landmarks: Halves

    @property
    def count(self) -> int:
        return len(self.landmarks)

    def dot(
        self, vectors: npt.NDArray[Any], weights: npt.NDArray[Any], kind: npt.DTypeLike = np.float64
    ) -> npt.NDArray[Any]:
        """Return [rows, outputs]: how close each vector is to each landmark, from 0 to 1, @ weights [count, outputs]."""
        directions, landmarks = self._doubles
        out = np.empty((len(vectors), weights.shape[1]), kind)
        for begin in range(0, len(vectors), _ROWS_AT_ONCE):
            piece = slice(begin, begin + _ROWS_AT_ONCE)
            turned = vectors[piece].astype(np.float64) @ directions - self.centre
            out[piece] = _gaussian_kernel(turned, landmarks) @ weights
        return out

    @cached_property
    def _doubles(self) -> tuple[Floats, Floats]:
        return self.directions.astype(np.float64), self.landmarks.astype(np.float64)

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `of_tensors` reads."""
        return {
            f"{_PREFIX}directions": self.directions,
            f"{_PREFIX}centre": self.centre,
            f"{_PREFIX}landmarks": self.landmarks,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self | None:
        """Return the curves among a model's tensors; None when it has none."""
        if f"{_PREFIX}landmarks" not in tensors:
            return None
        return cls(*(tensors[_PREFIX + name] for name in ("directions", "centre", "landmarks")))


def fit_nystroem(vectors: Floats, seed: int) -> tuple[Nystroem, Floats]:
    """Return curves of training vectors, and weights [count, features] with which `Curves.dot` gives features.

    The features' inner products are the kernel's, as far as the landmarks span it.
    """
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    spread = float(np.sqrt((centred**2).sum(axis=1).mean())) or 1.0
    _, axes = np.linalg.eigh(centred.T @ centred)
    # Rounded here, once: what is trained on is what is served.
    directions = (axes[:, ::-1][:, :_MAX_AXES] / spread).astype(np.float16)
    turned = directions.astype(np.float64)
    centre = (mean @ turned).astype(np.float32)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:_MAX_LANDMARKS])
    landmarks = (vectors[chosen] @ turned - centre).astype(np.float16)
    curves = Nystroem(directions, centre, landmarks)
    _, doubles = curves._doubles
    sizes, ways = np.linalg.eigh(_gaussian_kernel(doubles, doubles))
    kept = sizes > _MIN_EIGENVALUE
    return curves, ways[:, kept] / np.sqrt(sizes[kept])


def _gaussian_kernel(rows: Floats, landmarks: Floats) -> Floats:
    """Return [rows, landmarks]: exp(-|row - landmark|^2)."""
    apart = (rows**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2.0 * rows @ landmarks.T
    return np.asarray(np.exp(-np.maximum(apart, 0.0)))
