"""Learn then Test: the threshold below which a person answers, with a bound on the errors among the rest.

Angelopoulos, Bates, Candes, Jordan & Lei (2021), "Learn then Test", with fixed-sequence testing.

*What is claimed.* With the stated confidence, at most `most_error` of the rows that the model answers itself are wrong, for rows
drawn as the calibration rows were. One calibration row a unit, so that they are independent; no stage has learned from them.

*Why it holds, whatever the model.* For a threshold t let H(t) be "more than most_error of the rows with a score of at least t are
answered wrongly". Given how many calibration rows have such a score, the right ones among them are binomial, so a Clopper-Pearson
lower bound at delta that reaches 1 - most_error rejects a true H(t) with probability at most delta. Thresholds are tested in an order
that is fixed before the calibration rows are looked at, and testing stops at the first that is not rejected. A threshold with a true H
is returned only if the first such threshold in the order was rejected: probability at most delta, with no correction for how many are
tried. Nothing is assumed of the scores: they may be miscalibrated, or errors may rise with them; then fewer thresholds pass.

*The share that is answered* is bounded for all thresholds at once (Dvoretzky-Kiefer-Wolfowitz with Massart's constant), since the
threshold is chosen on the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.stats.confidence_bounds import proportion_lower

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_MOST_TRIED = 60
DELTA = 0.05


@dataclass(frozen=True)
class Selective:
    """A threshold that passed. error: of the answered calibration rows; coverage: their share, coverage_bound: proven of it."""

    threshold: float
    most_error: float
    error: float
    coverage: float
    coverage_bound: float
    rows: int
    tried: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "selective_error_at_most": self.most_error, "selective_error": round(self.error, 4), "coverage": round(self.coverage, 4),
            "coverage_at_least": round(self.coverage_bound, 4), "calibration_rows": self.rows, "thresholds_tried": self.tried,
            "confidence": 1.0 - DELTA,
        }  # fmt: skip


def rows_needed(most_error: float, delta: float = DELTA) -> int:
    """Return how many faultless rows are needed to reject anything."""
    return math.ceil(math.log(delta) / math.log1p(-most_error))


def order_of_tests(
    scores: Floats, right: Bools, calibration_rows: int, most_error: float, delta: float = DELTA
) -> list[float]:
    """Return thresholds in the order of their tests, from rows that are not the calibration rows.

    The first is the one that is likeliest to pass on so many rows; from there on downwards, so that ever more rows are answered.
    """
    if not len(scores):
        return []
    levels = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, _MOST_TRIED), method="lower"))[::-1]
    chances = []
    for level in levels.tolist():
        answered = scores >= level
        count = max(round(calibration_rows * float(answered.mean())), 1)
        hits = min(round(count * float(right[answered].mean())), count)
        chances.append(proportion_lower(hits, count, delta) - (1.0 - most_error))
    first = int(np.argmax(chances))
    return [float(level) for level in levels[first:]]


def learn_then_test(
    order: Sequence[float], scores: Floats, right: Bools, most_error: float, delta: float = DELTA
) -> Selective | None:
    """Return the last threshold of the order before the first that is not rejected; None where that is the first.

    order: fixed without these rows. scores, right: of the calibration rows, which must be independent.
    """
    found, tried = None, 0
    for threshold in order:
        tried += 1
        answered = scores >= threshold
        count, hits = int(answered.sum()), int(right[answered].sum())
        if proportion_lower(hits, count, delta) < 1.0 - most_error:
            break
        found = (threshold, 1.0 - hits / count, float(answered.mean()))
    if found is None:
        return None
    slack = math.sqrt(math.log(1.0 / delta) / (2 * len(scores)))
    return Selective(found[0], most_error, found[1], found[2], max(found[2] - slack, 0.0), len(scores), tried)
