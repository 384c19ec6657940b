"""Choose the score from which a box is answered, on images that the detector did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rung.modalities.images.box_metrics import Matched, matched
from rung.modalities.images.boxes import Box, boxes_of
from rung.modalities.images.detector_model import LEAST_SCORE

# Thresholds that are tried, at most: quantiles of the scores.
_MOST_TRIED = 60
# How much more a missed box counts than a false one, by the metric of the bar: of F-beta, beta.
_BETA = {"box_recall": 2.0, "box_precision": 0.5, "false_boxes": 0.5}


def choose_threshold(truths: Sequence[Any], found: Sequence[Sequence[Box]], goal: str) -> float:
    """Return the score at which the mean over images of F-beta is highest; the higher one in a tie.

    found: boxes of each image, down to LEAST_SCORE. goal: the first metric of the bar: beta is 1 unless that is about missed
    or about false boxes alone. Chosen on training images: certification images are never seen here.
    """
    scores = np.array([box.score or 0.0 for boxes in found for box in boxes])
    if not len(scores):
        return 0.5
    beta = _BETA.get(goal.partition(":")[0], 1.0)
    tried = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, _MOST_TRIED)).clip(LEAST_SCORE, 1.0))
    truths = [boxes_of(truth) for truth in truths]
    means = []
    for threshold in tried.tolist():
        answers = [tuple(box for box in boxes if (box.score or 0.0) >= threshold) for boxes in found]
        pairs = [matched(truth, answer) for truth, answer in zip(truths, answers, strict=True)]
        means.append(np.mean([_f(pair, beta) for pair in pairs]))
    best = len(means) - 1 - int(np.argmax(means[::-1]))
    return float(tried[best])


def _f(pair: Matched, beta: float) -> float:
    """Return F-beta of the boxes of one image; 1.0 where there is nothing to find and nothing was answered."""
    weighed = (1 + beta**2) * len(pair.hits)
    both = weighed + beta**2 * pair.missed + pair.false
    return weighed / both if both else 1.0
