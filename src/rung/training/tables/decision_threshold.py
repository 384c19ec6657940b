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
    """Return the threshold with the least cost on out-of-fold probabilities.

    For calibrated probabilities that is fp / (fp + fn). Another one is taken only where it saves more than
    one standard error of the difference.
    """
    if not costs:
        return DecisionThreshold()
    miss_cost, alarm_cost = costs["false_negative"], costs["false_positive"]
    default = bayes_threshold(costs).threshold or 0.0
    scores = probabilities[:, 1]
    levels, hits, alarms = by_threshold(scores, is_positive)
    spent = miss_cost * (hits[-1] - hits) + alarm_cost * (alarms - hits)
    best = int(spent.argmin())
    # Halfway to the next lower score, so that the threshold does not depend on one row.
    candidate = float((levels[best] + levels[best + 1]) / 2 if best + 1 < len(levels) else levels[best])
    row_costs = {t: _row_costs(scores, is_positive, t, miss_cost, alarm_cost) for t in (default, candidate)}
    saved = row_costs[default] - row_costs[candidate]
    noise = float(saved.std() / np.sqrt(len(saved))) if len(saved) else 0.0
    return DecisionThreshold(candidate if saved.mean() > noise > 0 else default)


def _row_costs(
    scores: Floats, is_positive: npt.NDArray[np.bool_], threshold: float, miss_cost: float, alarm_cost: float
) -> Floats:
    is_alarm = scores >= threshold
    return np.where(is_positive & ~is_alarm, miss_cost, np.where(~is_positive & is_alarm, alarm_cost, 0.0))
