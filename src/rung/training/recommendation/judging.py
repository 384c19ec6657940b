"""How good scores are on moments of people that they were not learned from: what choices within a fit go by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from rung.modalities.recommendation.ranking import ranked
from rung.modalities.recommendation.scorers import Moment
from rung.training.recommendation.interactions import Case, Floats

Score = Callable[[Moment], Floats]
_K = 10
_DISCOUNTS = 1.0 / np.log2(np.arange(_K) + 2)
_BEST = np.concatenate([[1.0], _DISCOUNTS.cumsum()])


def values(score: Score, cases: Sequence[Case], allowed: npt.NDArray[np.bool_]) -> Floats:
    """Return nDCG@10 of each case, seen items left out, shape (cases,). allowed: [items], which may be suggested at all."""
    found = np.zeros(len(cases))
    for place, case in enumerate(cases):
        free = allowed.copy()
        free[case.moment.items] = False
        top = ranked(score(case.moment), free, _K)
        hits = np.array([item in case.later for item in top], np.float64)
        found[place] = float(hits @ _DISCOUNTS[: len(top)]) / _BEST[min(len(case.later), _K)]
    return found


def by_person(found: Floats, cases: Sequence[Case]) -> Floats:
    """Return the mean of each person's cases: what a metric over users averages."""
    _, member = np.unique([case.person for case in cases], return_inverse=True)
    return np.asarray(np.bincount(member, found) / np.bincount(member), np.float64)


def mean(score: Score, cases: Sequence[Case], allowed: npt.NDArray[np.bool_]) -> float:
    """Return the mean over people of their cases' mean nDCG@10; 0 where there are none."""
    return float(by_person(values(score, cases, allowed), cases).mean()) if cases else 0.0
