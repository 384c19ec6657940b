"""Test whether a choice improves predictions on the same held-out rows beyond noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Score = Callable[[Ints, Ints, Floats, int], float]
_RESAMPLES = 200
# Share of resamples that may show no gain: about the probability of keeping a choice without effect.
_SIGNIFICANCE = 0.05


def accuracy(codes: Ints, answers: Ints, weights: Floats, labels: int) -> float:
    """Return the weighted share of correct rows."""
    return float(weights[codes == answers].sum() / max(weights.sum(), 1e-12))


def macro_f1(codes: Ints, answers: Ints, weights: Floats, labels: int) -> float:
    """Return the mean F1 over labels of weighted rows; a label without rows counts 0, as in the metric."""
    actual = np.bincount(codes, weights, labels)
    predicted = np.bincount(answers, weights, labels)
    hits = np.bincount(codes[codes == answers], weights[codes == answers], labels)
    return float((2 * hits / np.maximum(actual + predicted, 1e-12)).mean())


def search_score(goal: str) -> Score:
    """Return the score that a search uses for a bar's metric: macro F1 where single labels matter, else
    accuracy.
    """
    return macro_f1 if goal == "macro_f1" or goal.startswith("f1:") else accuracy


def is_significant_gain(codes: Ints, before: Ints, after: Ints, labels: int, score: Score, seed: int) -> bool:
    """Return whether `after` scores better than `before` on these rows beyond their noise.

    codes, before, after: true label and the two predictions of each row, as numbers. A paired bootstrap over
    rows: a choice without effect moves as many rows up as down, so the share of resamples where it wins is
    uniform in large samples (Efron & Tibshirani 1993, ch. 16), and it is kept about once in twenty. Rows with
    equal predictions carry no evidence: where none differs, the choice is not kept.
    """
    if np.array_equal(before, after):
        return False
    rng = np.random.default_rng(seed)
    rows = len(codes)
    worse = 0
    for _ in range(_RESAMPLES):
        weights = np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(np.float64)
        worse += score(codes, after, weights, labels) <= score(codes, before, weights, labels)
    return worse <= _SIGNIFICANCE * _RESAMPLES
