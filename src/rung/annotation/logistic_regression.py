"""A linear classifier over dense vectors, fitted in a blink with numpy alone: for choosing rows, never for shipping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_STEPS = 200
# Inverse strength of the penalty, as scikit-learn's C: vectors have length 1, so it takes more than there.
_C = 20.0


@dataclass(frozen=True)
class QuickHead:
    """weights: [width, labels]; bias: [labels]."""

    weights: Floats
    bias: Floats

    def probabilities(self, vectors: npt.NDArray[np.float32]) -> Floats:
        """Return [rows, labels]; each row sums to 1."""
        return _softmax(vectors.astype(np.float64) @ self.weights + self.bias)


def fit_head(vectors: npt.NDArray[np.float32], codes: Ints, labels: int, c: float = _C) -> QuickHead:
    """Return multinomial logistic regression with an L2 penalty, by Nesterov's accelerated gradient.

    vectors: [rows, width], rows of length about 1; codes: each row's label in [0, labels). A label without rows gets
    a probability near 0. Raises ValueError without rows.
    """
    if not len(codes):
        raise ValueError("nothing to fit on")
    x, back = _rotated(vectors.astype(np.float64))
    n, width = x.shape
    wanted = np.eye(labels)[codes]
    penalty = 1.0 / (c * n)
    # The curvature of softmax is at most 1/2 times the largest eigenvalue of x'x / n; power iteration finds that.
    direction = np.ones(width) / np.sqrt(width)
    for _ in range(10):
        direction = x.T @ (x @ direction)
        direction /= max(float(np.linalg.norm(direction)), 1e-12)
    curvature = 0.5 * (1.1 * float(np.square(x @ direction).sum()) / n + 1.0) + penalty
    weights, bias = np.zeros((width, labels)), np.log((wanted.sum(axis=0) + 0.5) / (n + 0.5 * labels))
    old_w, old_b = weights, bias
    for step in range(_STEPS):
        ahead = step / (step + 3.0)
        w, b = weights + ahead * (weights - old_w), bias + ahead * (bias - old_b)
        error = (_softmax(x @ w + b) - wanted) / n
        old_w, old_b = weights, bias
        weights = w - (x.T @ error + penalty * w) / curvature
        bias = b - error.sum(axis=0) / curvature
    return QuickHead(weights if back is None else back @ weights, bias)


def _rotated(x: Floats) -> tuple[Floats, Floats | None]:
    """Return rows in the space that they span, [rows, at most rows], and how its weights go back: the penalised solution
    lies in there (the representer theorem), and a thousand numbers a row are too many for fifty rows."""
    if len(x) >= x.shape[1]:
        return x, None
    values, vectors = np.linalg.eigh(x @ x.T)
    kept = values > 1e-9 * max(float(values[-1]), 1e-12)
    length = np.sqrt(values[kept])
    return vectors[:, kept] * length, x.T @ (vectors[:, kept] / length)


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)
