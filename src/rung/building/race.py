"""Race a rung on a part of the training rows: has it a chance to win, or is the whole fit not worth its time?

A rung wins by clearing the bar, or, where none does, by the best score. On the part it is compared with a rival row by
row. What counts is the ratio of their distances to a perfect score: its logarithm hardly depends on the metric or on
the number of rows. A normal prior holds what rungs differed by in the benchmarks; the part corrects it. Only training
rows are read, so a certificate is as valid with races as without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from rung.core.folds import assign_folds
from rung.core.metrics import scored
from rung.core.metrics.base import MeanMetric, Metric, per_unit
from rung.core.metrics.scored import ScoredRows
from rung.core.types import Examples

# The part is this share of the training rows, within these bounds; rows are too few where it would be more than a third.
_SHARE, _LEAST, _MOST = 5, 300, 2_000
# Logarithm of the ratio of errors between a rung and the best of those before it: mean and standard deviation. In
# benchmarks/results the ratios are 0.67 to 1.15; the deviation is twice the one seen.
_PRIOR = NormalDist(-0.15, 0.35)
# What the part cannot tell about all rows, in the same logarithm.
_CARRIED_OVER = 0.1
# Less than this share of the metric's range is no lead, and a smaller chance is none.
MARGIN, LEAST_CHANCE = 0.01, 0.1
_RESAMPLES = 300


@dataclass(frozen=True)
class Goal:
    """What a rung must reach, as distances to a perfect score on all rows.

    best: of the rival, measured on all rows, or on the part where it was not. to_clear: what is expected to be certified.
    fastest: the least distance the rival could have on all rows.
    """

    best: float
    to_clear: float
    fastest: float


@dataclass(frozen=True)
class Race:
    """The result of a race on `rows` rows. score, rival_score: on those rows; error: standard error of the score.

    clear, lead: chances that the rung clears the bar, and that it is the best by more than a point.
    """

    rung: str
    metric: str
    rows: int
    score: float
    error: float
    rival: str
    rival_score: float
    clear: float
    lead: float

    @property
    def is_lost(self) -> bool:
        """Return whether the rung has no chance worth its time."""
        return max(self.clear, self.lead) < LEAST_CHANCE

    def as_dict(self) -> dict[str, Any]:
        """Return the result for JSON."""
        return asdict(self)


def part_of(train: Examples) -> list[int]:
    """Return the rows of the part, spread over labels and whole units; none where there are too few rows."""
    size = min(max(len(train) // _SHARE, _LEAST), _MOST)
    if len(train) < 3 * size:
        return []
    dealt = assign_folds(len(train) // size, train.units, [str(target) for target in train.targets])
    return [int(row) for row in np.flatnonzero(dealt == 0)]


def distance(metric: Metric, score: float) -> float:
    """Return how far a score is from a perfect one; not finite where the metric has no end on that side."""
    return metric.greatest - score if metric.higher_is_better else score - metric.least


def distance_to_clear(metric: Metric, level: float, score: float, bound: float | None) -> float:
    """Return the distance from which a bound would clear the level, by how far a rung's own bound lies from its score.

    The margin of a bound shrinks with the square root of the distance. bound: expected of the rung that scored; None
    where the score itself is what counts.
    """
    allowed = max(distance(metric, level), 0.0)
    mine = distance(metric, score)
    if bound is None or mine <= 0.0:
        return allowed
    slope = abs(score - bound) / math.sqrt(mine)
    return ((math.sqrt(slope**2 + 4 * allowed) - slope) / 2) ** 2


def judge(
    metric: Metric,
    names: tuple[str, str],
    answers: tuple[ScoredRows, ScoredRows],
    goal: Goal,
    growth: float = 0.0,
) -> Race:
    """Return the result of a race. names, answers: of the rung and of its rival, on the same rows.

    growth: by how much the logarithm of the ratio is expected to change from the part to all rows.
    """
    ours, theirs = (scored.mean_over_units(metric, rows) for rows in answers)
    ratio, deviation, error = log_ratio(metric, answers)
    weight, prior = 1.0 / (deviation**2 + _CARRIED_OVER**2), 1.0 / _PRIOR.variance
    belief = NormalDist(
        (weight * (ratio + growth) + prior * _PRIOR.mean) / (weight + prior), (weight + prior) ** -0.5
    )
    span = metric.greatest - metric.least
    # Of an endless range, points mean nothing: a share of the distance does.
    margin = MARGIN * span if math.isfinite(span) else 4 * MARGIN * goal.best
    return Race(
        names[0],
        metric.name,
        len(answers[0].truths),
        round(ours, 5),
        round(error, 5),
        names[1],
        round(theirs, 5),
        round(_chance(belief, goal.to_clear, goal.fastest), 4),
        round(_chance(belief, goal.best - margin, goal.best), 4),
    )


def _chance(belief: NormalDist, wanted: float, of: float) -> float:
    """Return the probability that the ratio takes a distance `of` down to `wanted`."""
    if wanted <= 0.0:
        return 0.0
    return belief.cdf(math.log(wanted / of)) if of > 0.0 else 1.0


def log_ratio(metric: Metric, answers: tuple[ScoredRows, ScoredRows]) -> tuple[float, float, float]:
    """Return the logarithm of the ratio of two distances to a perfect score, its standard error, and that of the first
    score: a paired bootstrap over units.
    """
    units = answers[0].units
    member = np.unique(np.asarray(units), return_inverse=True)[1]
    groups = [np.flatnonzero(member == g) for g in range(int(member.max()) + 1)]
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(groups), len(groups)) for _ in range(_RESAMPLES)]
    first, second = (_resampled(metric, rows, groups, draws) for rows in answers)
    span = metric.greatest - metric.least
    # As if half a row more were wrong: no ratio to a faultless rival is infinite.
    half = 0.5 * span / len(groups) if math.isfinite(span) else 1e-12
    point = [distance(metric, scored.mean_over_units(metric, rows)) + half for rows in answers]
    drawn = [np.log(np.maximum(_distances(metric, values), 0.0) + half) for values in (first, second)]
    spread = float((drawn[0] - drawn[1]).std())
    return math.log(point[0] / point[1]), spread, float(first.std())


def _distances(metric: Metric, values: Any) -> Any:
    return metric.greatest - values if metric.higher_is_better else values - metric.least


def _resampled(metric: Metric, rows: ScoredRows, groups: Sequence[Any], draws: Sequence[Any]) -> Any:
    """Return the score of each resample of units."""
    if isinstance(metric, MeanMetric) and scored.weighs_units_alike(metric):
        each = per_unit(scored.values(metric, rows), rows.units)
        return np.array([each[draw].mean() for draw in draws])
    found = []
    for draw in draws:
        picked = np.concatenate([groups[g] for g in draw]).tolist()
        found.append(scored.score(metric, rows.take(picked)))
    return np.array(found)


def carried_over(now: float, half: float, error: float, doublings: float) -> float:
    """Return the expected change of the log ratio up to all rows: a rung that catches up beyond noise goes on to.

    now, half: after learning from the part, and from half of it; a ratio that grows is not extrapolated.
    """
    change = now - half
    return change * doublings if change < -error else 0.0
