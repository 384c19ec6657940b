"""Is a choice worth keeping? Two ways of answering the same held-out rows, compared beyond the noise of the rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Score = Callable[[Ints, Ints, Floats, int], float]
_RESAMPLES = 200
# Of the resamples, so many may show no gain: about the chance that a choice without effect is kept.
_SIGNIFICANCE = 0.05


def accuracy(codes: Ints, answers: Ints, weights: Floats, labels: int) -> float:
    """Return the weighted share of rows answered right."""
    return float(weights[codes == answers].sum() / max(weights.sum(), 1e-12))


def macro_f1(codes: Ints, answers: Ints, weights: Floats, labels: int) -> float:
    """Return the mean over labels of F1, rows weighted; a label that nobody has counts 0, as in the metric."""
    truths = np.bincount(codes, weights, labels)
    said = np.bincount(answers, weights, labels)
    hits = np.bincount(codes[codes == answers], weights[codes == answers], labels)
    return float((2 * hits / np.maximum(truths + said, 1e-12)).mean())


def search_score(goal: str) -> Score:
    """Return how a bar's metric is scored in a search; what depends on single labels counts as macro F1."""
    return macro_f1 if goal == "macro_f1" or goal.startswith("f1:") else accuracy


def is_significant_gain(codes: Ints, before: Ints, after: Ints, labels: int, score: Score, seed: int) -> bool:
    """Return whether `after` scores better than `before` on these rows beyond their noise.

    codes, before, after: number of the true label and of the two answers, a row. A paired bootstrap over rows: a
    choice without effect moves as many rows up as down, so the share of resamples where it wins is uniform in
    large samples (Efron & Tibshirani 1993, ch. 16), and it is kept about once in twenty. Rows that both answer
    alike carry no evidence: where none differs, the choice is not kept.
    """
    if np.array_equal(before, after):
        return False
    rng = np.random.default_rng(seed)
    rows = len(codes)
    lost = 0
    for _ in range(_RESAMPLES):
        weights = np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(np.float64)
        lost += score(codes, after, weights, labels) <= score(codes, before, weights, labels)
    return lost <= _SIGNIFICANCE * _RESAMPLES
