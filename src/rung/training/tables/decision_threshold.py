"""Choose the decision threshold with the least cost on out-of-fold probabilities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rung.core.metrics.classification import by_threshold
from rung.runtime.classification.decision_threshold import DecisionThreshold, bayes_threshold
from rung.training.tables.objective import Floats


def min_cost_threshold(
    probabilities: Floats, is_positive: npt.NDArray[np.bool_], costs: Mapping[str, float]
) -> DecisionThreshold:
    """Return the threshold that costs least on answers out of fold.

    Calibrated probabilities have theirs at fp / (fp + fn). Another one is taken only where it saves more than the
    noise of the rows: one standard error of the difference.
    """
    if not costs:
        return DecisionThreshold()
    missed, alarm = costs["false_negative"], costs["false_positive"]
    plain = bayes_threshold(costs).threshold or 0.0
    scores = probabilities[:, 1]
    levels, hits, alarms = by_threshold(scores, is_positive)
    spent = missed * (hits[-1] - hits) + alarm * (alarms - hits)
    best = int(spent.argmin())
    # Halfway to the next score below: the threshold should not hang on one row.
    level = float((levels[best] + levels[best + 1]) / 2 if best + 1 < len(levels) else levels[best])
    each = {t: _row_costs(scores, is_positive, t, missed, alarm) for t in (plain, level)}
    saved = each[plain] - each[level]
    noise = float(saved.std() / np.sqrt(len(saved))) if len(saved) else 0.0
    return DecisionThreshold(level if saved.mean() > noise > 0 else plain)


def _row_costs(
    scores: Floats, is_positive: npt.NDArray[np.bool_], threshold: float, missed: float, alarm: float
) -> Floats:
    said = scores >= threshold
    return np.where(is_positive & ~said, missed, np.where(~is_positive & said, alarm, 0.0))
