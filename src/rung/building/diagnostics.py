"""What a report shows of the winner beyond its scores: is it as sure as it is right, would more rows help?

Everything here is computed from training rows held out of a fit; certification rows are never read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.excerpt import thumbnails
from rung.core.kind import kind
from rung.core.label_sets import shown_set
from rung.core.metrics.base import MeanMetric, Metric
from rung.core.metrics.scored import ScoredRows, mean_over_units
from rung.core.stats.intervals import wilson_interval
from rung.core.types import Examples, Prediction, Schema

# Three small extra fits: together less than one fit on all rows.
FRACTIONS = (0.125, 0.25, 0.5)
_FEWEST_ROWS = 20
_BINS = 10
# Images of each band of certainty in a report.
_GALLERY = 8
# Rows whose files are opened to tell where they come from.
_MOST_LOOKED_AT = 5_000
_MEDIA = frozenset({"image"})
FitParts = Callable[[Sequence[Sequence[int]]], Iterable[Any]]


def reliability(
    truths: Sequence[Any], answers: Sequence[Prediction], metrics: Sequence[Metric]
) -> dict[str, Any] | None:
    """Return how often answers were right by how sure they were, in ten bins; None without a score.

    error: the mean distance between the two, weighted by rows (expected calibration error, Naeini et al. 2015).
    """
    right = _right(truths, answers, metrics)
    if right is None or not answers or any(answer.score is None for answer in answers):
        return None
    sure = np.array([answer.score for answer in answers], dtype=np.float64).clip(0.0, 1.0)
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


def _right(
    truths: Sequence[Any], answers: Sequence[Prediction], metrics: Sequence[Metric]
) -> npt.NDArray[np.float64] | None:
    """Return 1 for each right answer and 0 for each wrong one, [rows]; None where answers are not right or wrong."""
    found = next(
        (m for m in metrics if isinstance(m, MeanMetric) and m.is_binary and not m.reads_inputs), None
    )
    return None if found is None else np.asarray(found.values(truths, answers), dtype=np.float64)


def by_origin(
    examples: Examples,
    rows: Sequence[int],
    truths: Sequence[Any],
    answers: Sequence[Prediction],
    metrics: Sequence[Metric],
) -> list[dict[str, Any]]:
    """Return how often answers were right by where rows come from, such as the camera of an image; the most rows first.

    rows: of the examples, for which these answers are. Origins with few rows are one, called "". [] where there are fewer than
    two. Looks at `_MOST_LOOKED_AT` rows at most, in the order of their hash.
    """
    right = _right(truths, answers, metrics)
    field = next((f for f in examples.schema.inputs if f.kind in _MEDIA), None)
    if right is None or field is None:
        return []
    known, cells = kind(field.kind), examples.inputs[field.name]
    places = sorted(range(len(rows)), key=lambda place: examples.units[rows[place]])[:_MOST_LOOKED_AT]
    found: dict[str, list[float]] = defaultdict(list)
    for place in places:
        found[known.origin(cells[rows[place]])].append(float(right[place]))
    large = {name: hits for name, hits in found.items() if name and len(hits) >= _FEWEST_ROWS}
    rest = [hit for name, hits in found.items() if name not in large for hit in hits]
    groups = [*sorted(large.items(), key=lambda item: -len(item[1])), *([("", rest)] if rest else [])]
    if len(groups) < 2:
        return []
    measured = []
    for name, hits in groups:
        mean = float(np.mean(hits))
        low, high = wilson_interval(mean, len(hits), 0.95)
        measured.append(
            {
                "origin": name,
                "rows": len(hits),
                "right": round(mean, 4),
                "low": round(low, 4),
                "high": round(high, 4),
            }
        )
    return measured


def gallery(
    examples: Examples,
    rows: Sequence[int],
    truths: Sequence[Any],
    answers: Sequence[Prediction],
    metrics: Sequence[Metric],
) -> list[dict[str, Any]]:
    """Return images by how sure their answers are: the least sure, those in the middle and the surest, `_GALLERY` of each.

    [] for rows without images, and where answers have no probability or are not right or wrong.
    """
    right = _right(truths, answers, metrics)
    if right is None or not any(f.kind in _MEDIA for f in examples.schema.inputs):
        return []
    scores = [answer.score for answer in answers]
    if len(answers) < 3 * _GALLERY or any(score is None for score in scores):
        return []
    order = np.argsort(np.array(scores, dtype=np.float64), kind="stable")
    middle = (len(order) - _GALLERY) // 2
    bands = {
        "unsure": order[:_GALLERY],
        "middle": order[middle : middle + _GALLERY],
        "sure": order[::-1][:_GALLERY],
    }
    return [
        {
            "band": band,
            "images": [
                {
                    "row": examples.rows[rows[place]],
                    "truth": _shown(truths[place], examples.schema),
                    "answer": _shown(answers[place].value, examples.schema),
                    "probability": round(float(answers[place].score or 0.0), 4),
                    "right": bool(right[place]),
                    "thumbnails": thumbnails(examples, rows[place]),
                }
                for place in places.tolist()
            ],
        }
        for band, places in bands.items()
    ]


def _shown(value: Any, schema: Schema) -> str:
    """Return an answer as text; of a set of labels, all of them."""
    return shown_set(str(value)) if schema.label_set else str(value)


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
