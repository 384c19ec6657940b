"""How well boxes were found: per image where that has a bound, and mean average precision, which has none.

An answer hits a box of the truth when both have one label and overlap by at least a share (IoU, 0.5 unless a metric says
another: `box_recall:0.75`). Answers choose in the order of their scores, each the free box that it overlaps most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.metrics.base import Answers, MeanMetric, Metric, Truths, seed_of
from rung.core.stats import confidence_bounds
from rung.core.stats.confidence_bounds import Bound
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.images.boxes import Box, Boxes, boxes_of, corners_of, overlaps

OVERLAP = 0.5
# Of one image at most so many false boxes count: without a most the mean has no bound.
MOST_FALSE = 20
_COCO_OVERLAPS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
_RECALLS = np.linspace(0.0, 1.0, 101)
# Answers of an image and label that count for average precision, as COCO has it.
_MOST_ANSWERS = 100
CANDIDATES = "candidates"


@dataclass(frozen=True)
class Matched:
    """Which boxes of the truth and which answers are pairs. hits: answer -> truth; the rest was missed or is false."""

    hits: tuple[tuple[int, int], ...]
    answers: int
    truths: int

    @property
    def false(self) -> int:
        """Return how many answers hit nothing."""
        return self.answers - len(self.hits)

    @property
    def missed(self) -> int:
        """Return how many boxes of the truth no answer hits."""
        return self.truths - len(self.hits)


def matched(truth: Any, answer: Any, overlap: float = OVERLAP) -> Matched:
    """Return the pairs of one image. truth, answer: boxes in any of their forms."""
    return _matched(boxes_of(truth), boxes_of(answer), overlap)


@lru_cache(maxsize=1 << 15)
def _matched(truth: Boxes, answer: Boxes, overlap: float) -> Matched:
    hits = []
    shared = overlaps(corners_of(answer), corners_of(truth))
    for place, box in enumerate(answer):
        for other, true in enumerate(truth):
            if box.label != true.label:
                shared[place, other] = -1.0
    for place in sorted(range(len(answer)), key=lambda i: -(answer[i].score or 0.0)):
        best = int(shared[place].argmax()) if len(truth) else 0
        # Corners rounded to a float must not miss an overlap that is exact on paper.
        if len(truth) and shared[place, best] >= overlap - 1e-9:
            hits.append((place, best))
            shared[:, best] = -1.0
    return Matched(tuple(sorted(hits)), len(answer), len(truth))


def recall(overlap: float = OVERLAP, name: str = "box_recall") -> MeanMetric:
    """Return the mean over images of the share of true boxes that were found; an image without any counts as 1."""

    def value(truth: Any, answer: Prediction) -> float:
        found = matched(truth, answer.value, overlap)
        return len(found.hits) / found.truths if found.truths else 1.0

    return MeanMetric(name, value)


def precision(overlap: float = OVERLAP, name: str = "box_precision") -> MeanMetric:
    """Return the mean over images of the share of answered boxes that hit one; an image with no answer counts as 1."""

    def value(truth: Any, answer: Prediction) -> float:
        found = matched(truth, answer.value, overlap)
        return len(found.hits) / found.answers if found.answers else 1.0

    return MeanMetric(name, value)


def image_f1(overlap: float = OVERLAP, name: str = "box_f1") -> MeanMetric:
    """Return the mean over images of F1 of its boxes; an image that has none and is answered with none counts as 1."""
    return MeanMetric(name, lambda truth, answer: f1_of(matched(truth, answer.value, overlap)))


def f1_of(found: Matched) -> float:
    """Return F1 of the boxes of one image; 1.0 where there is nothing to find and nothing was answered."""
    both = found.answers + found.truths
    return 2 * len(found.hits) / both if both else 1.0


class FalseBoxes(MeanMetric):
    """The mean over images of how many answered boxes hit nothing, at most MOST_FALSE of an image; lower is better."""

    higher_is_better = False
    greatest = float(MOST_FALSE)

    def __init__(self, overlap: float = OVERLAP, name: str = "false_boxes") -> None:
        super().__init__(
            name, lambda truth, answer: float(min(matched(truth, answer.value, overlap).false, MOST_FALSE))
        )


class AveragePrecision(Metric):
    """Mean average precision over labels, as COCO computes it (101 recalls); its bound is estimated.

    It needs answers below the shipped threshold too: a model puts them into `extra["candidates"]`; without them it is
    that of the answers alone. overlaps: the mean over these.
    """

    def __init__(self, name: str, wanted: Sequence[float] = _COCO_OVERLAPS) -> None:
        super().__init__(name)
        self._overlaps = tuple(wanted)

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        images = [_ranked(t, a, self._overlaps) for t, a in zip(truths, answers, strict=True)]
        return mean_average_precision(images, len(self._overlaps))

    def bound(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        images = [_ranked(t, a, self._overlaps) for t, a in zip(truths, answers, strict=True)]

        def score(places: npt.NDArray[np.int64]) -> float:
            return mean_average_precision([images[i] for i in places.tolist()], len(self._overlaps))

        lower = confidence_bounds.bootstrap_lower(score, units, alpha, seed_of(units))
        return Bound(lower, exact=False)


@dataclass(frozen=True)
class RankedLabel:
    """The answers of one label in one image, surest first. hits: [overlaps, answers]. truths: boxes of the truth."""

    scores: npt.NDArray[np.float64]
    hits: npt.NDArray[np.bool_]
    truths: int


Ranked = dict[str, RankedLabel]


def _ranked(truth: Any, answer: Prediction, wanted: tuple[float, ...]) -> Ranked:
    candidates = answer.extra.get(CANDIDATES, answer.value)
    return _ranked_boxes(boxes_of(truth), boxes_of(candidates), wanted)


@lru_cache(maxsize=1 << 14)
def _ranked_boxes(truth: Boxes, answer: Boxes, wanted: tuple[float, ...]) -> Ranked:
    found = {}
    for label in sorted({box.label for box in (*truth, *answer)}):
        own = sorted((b for b in answer if b.label == label), key=lambda b: -(b.score or 0.0))[:_MOST_ANSWERS]
        true = tuple(b for b in truth if b.label == label)
        hits = np.zeros((len(wanted), len(own)), bool)
        for row, overlap in enumerate(wanted):
            for place, _ in _matched(true, tuple(own), overlap).hits:
                hits[row, place] = True
        found[label] = RankedLabel(_scores(own), hits, len(true))
    return found


def _scores(boxes: Sequence[Box]) -> npt.NDArray[np.float64]:
    return np.array([box.score or 0.0 for box in boxes], np.float64)


def mean_average_precision(images: Sequence[Ranked], overlaps_count: int) -> float:
    """Return the mean over overlaps and over labels that the truth has; 0.0 where it has none."""
    labels = sorted({label for image in images for label, part in image.items() if part.truths})
    if not labels:
        return 0.0
    return float(np.mean([_average_precision(images, label, overlaps_count) for label in labels]))


def _average_precision(images: Sequence[Ranked], label: str, overlaps_count: int) -> float:
    parts = [image[label] for image in images if label in image]
    truths = sum(part.truths for part in parts)
    scores = np.concatenate([part.scores for part in parts])
    hits = np.concatenate([part.hits for part in parts], axis=1).reshape(overlaps_count, len(scores))
    order = np.argsort(-scores, kind="mergesort")
    rights = np.cumsum(hits[:, order], axis=1)
    total = np.arange(1, len(order) + 1)
    found = []
    for right in rights:
        # Precision at a recall is the best precision at that recall or a higher one.
        precise = np.maximum.accumulate((right / total)[::-1])[::-1]
        places = np.searchsorted(right / truths, _RECALLS, side="left")
        padded = np.append(precise, 0.0)
        found.append(float(padded[np.minimum(places, len(precise))].mean()))
    return float(np.mean(found))
