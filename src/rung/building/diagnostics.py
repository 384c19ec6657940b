"""What a report shows of the winner beyond its scores: is it as sure as it is right, would more rows help?

Everything here is computed from training rows held out of a fit; certification rows are never read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from rung.core.metrics.base import MeanMetric, Metric
from rung.core.metrics.scored import ScoredRows, mean_over_units
from rung.core.types import Examples, Prediction

# Three small extra fits: together less than one fit on all rows.
FRACTIONS = (0.125, 0.25, 0.5)
_FEWEST_ROWS = 20
_BINS = 10
FitParts = Callable[[Sequence[Sequence[int]]], Iterable[Any]]


def reliability(
    truths: Sequence[Any], answers: Sequence[Prediction], metrics: Sequence[Metric]
) -> dict[str, Any] | None:
    """Return how often answers were right by how sure they were, in ten bins; None without a score.

    error: the mean distance between the two, weighted by rows (expected calibration error, Naeini et al. 2015).
    """
    right_or_not = next(
        (m for m in metrics if isinstance(m, MeanMetric) and m.is_binary and not m.reads_inputs), None
    )
    if right_or_not is None or not answers or any(answer.score is None for answer in answers):
        return None
    sure = np.array([answer.score for answer in answers], dtype=np.float64).clip(0.0, 1.0)
    right = right_or_not.values(truths, answers)
    place = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    bins = []
    for k in range(_BINS):
        inside = place == k
        if inside.any():
            bins.append(
                {
                    "low": k / _BINS,
                    "high": (k + 1) / _BINS,
                    "rows": int(inside.sum()),
                    "sure": round(float(sure[inside].mean()), 4),
                    "right": round(float(right[inside].mean()), 4),
                }
            )
    error = sum(b["rows"] * abs(b["sure"] - b["right"]) for b in bins) / len(sure)
    return {"bins": bins, "rows": len(sure), "error": round(error, 4)}


def learning_curve(
    train: Examples, test: Examples, metric: Metric, last: float, fit: FitParts
) -> dict[str, Any]:
    """Return the score on the same held-out rows after learning from an eighth, a quarter, half and all of a fold.

    last: the score on `test` of the model fitted on all of `train`, known from the evaluation. fit: yields a loaded
    model for each of the given lists of rows of `train`, in order.
    """
    parts = [_share(train.targets, train.units, fraction) for fraction in FRACTIONS]
    parts = [part for part in parts if _FEWEST_ROWS <= len(part) < 0.8 * len(train)]
    points: list[dict[str, Any]] = []
    for part, model in zip(parts, fit(parts), strict=True):
        reached = mean_over_units(metric, ScoredRows.of(test, model.predict(test.inputs)))
        points.append({"rows": len(part), "score": round(reached, 5)})
    points.append({"rows": len(train), "score": round(last, 5)})
    return {"points": points, "metric": metric.name, "test_rows": len(test)}


def _share(targets: Sequence[Any], units: Sequence[str], fraction: float) -> list[int]:
    """Return the rows of a fraction: of every target that share, at least three rows, in the order of their hash."""
    by_target: dict[str, list[int]] = defaultdict(list)
    for i in sorted(range(len(units)), key=lambda i: units[i]):
        by_target[str(targets[i])].append(i)
    if len(by_target) > len(units) // 3:
        by_target = {"": sorted(range(len(units)), key=lambda i: units[i])}
    kept = [i for rows in by_target.values() for i in rows[: max(round(len(rows) * fraction), 3)]]
    return sorted(kept)
