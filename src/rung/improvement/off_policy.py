"""What another model's lists would have earned, from lists that were drawn by a known rule and what was clicked in them.

What is estimated
-----------------
The value of a model is the mean number of clicks on a list of its own, over the requests of the journal: of each request, the sum over the
places j of its list of q(item at j, j), the chance that this item is clicked at this place for this request. What is assumed of clicks is in
this sum: that a click depends on the request, the item and its place, and not on the other items of the list (the item-position model: Li,
Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay & Wen 2018). Without it no list that was never shown can be judged.

IPS. Of each place at which the drawn list agrees with the model's, a click counts 1 / p, p the propensity of the item at that place; all else
counts 0. Given the request and all that came before it, the expectation of that is q(item, j) where the rule could draw the item at j, and 0
where it never does (a candidate beyond `explore_among`). So the sum is at least 0 and its conditional mean lies in [0, places].

SNIPS. The same clicks over the sum of the weights instead of their expected number: less spread, some bias, gone with many requests.

Why the intervals hold
----------------------
*IPS, exact.* The lower end is `adaptive_average_lower` of the sums: a place that is never drawn has a value of at least 0 and counts as 0. The
upper end is the number of places less the lower bound of the same sums over what was *not* clicked: a place that is never drawn counts as clicked.
Each end errs with probability at most alpha / 2. Nothing is assumed of users: which request comes next, who clicks what, and even the rule's share
may depend on everything seen before, also on what was drawn; the same person may ask a thousand times. Only the coin must be fair, its
propensities true, and the model's list for a request free of what was clicked from then on: a model that learned from these clicks agrees with their
luck (`workflows/replay.py` leaves such requests out, or says that nothing holds). The bounds hold for all numbers of requests at once, so one may look every day. They are about the requests that were made.

*A gain, exact.* Over what was served, exploration included: the clicks that came. The lower end is that of the differences between the model's
sums and the clicks that came, which are at least minus the length of a list; the upper end is the same over what was not clicked. A place that is
never drawn counts for the model as above.

*SNIPS, estimated.* Of the delta method, over requests as if independent: `exact: false`. With few draws that agree it is too narrow, so with fewer
than 30 effective requests, or fewer than 10 lists clicked where both agree, none is given.

`tests/improvement/test_off_policy_simulation.py` attacks these claims with adversaries that see the coin's past.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.stats.adaptive_average import adaptive_average_lower

FloatArray = npt.NDArray[np.float64]
# Fewer requests of equal weight, or lists clicked where both agree, and SNIPS has no interval: without a click its error would be 0.
_FEWEST_EFFECTIVE, _FEWEST_CLICKED = 30.0, 10
# Weights average 1 a place where every place can be drawn; so many standard errors above and the propensities are not true.
_MOST_ERRORS = 5.0


@dataclass(frozen=True)
class Impression:
    """A list that was shown. items: in order. propensities: of each item at its place. clicked: items that were taken."""

    items: tuple[str, ...]
    propensities: tuple[float, ...]
    clicked: frozenset[str]


@dataclass(frozen=True)
class Interval:
    """low, high: at the stated confidence. exact: it holds for every world and every number of requests."""

    value: float
    low: float
    high: float
    exact: bool


@dataclass(frozen=True)
class OffPolicyEstimate:
    """What a model's lists are estimated to earn, in clicks a list.

    requests: that count. agreeing: requests whose list agrees with the model's at a place that the rule did not have to fill. places: the mean
    length of the model's lists, as far as lists were shown. supported: the estimated share of its places that the rule can draw. effective: requests
    of equal weight that say as much. snips: None where too few requests say anything. doubtful: weights are larger than true propensities allow.
    """

    requests: int
    agreeing: int
    places: float
    supported: float
    effective: float
    ips: Interval
    snips: Interval | None
    doubtful: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def estimate(
    impressions: Sequence[Impression], lists: Sequence[Sequence[str]], confidence: float
) -> OffPolicyEstimate | None:
    """Return what a model earns; None without impressions. lists: its own, one for each impression."""
    if not impressions:
        return None
    alpha = 1.0 - confidence
    sums = _Sums(impressions, lists)
    n, most = len(impressions), max(float(sums.places.max()), 1.0)
    places = float(sums.places.mean())
    low = adaptive_average_lower(sums.clicked, most, alpha / 2)
    high = places - adaptive_average_lower(sums.weights - sums.clicked, most, alpha / 2)
    value = float(sums.clicked.mean())
    weight, squares = float(sums.weights.sum()), float((sums.weights**2).sum())
    effective = weight**2 / squares if squares else 0.0
    says_enough = effective >= _FEWEST_EFFECTIVE and int((sums.clicked > 0).sum()) >= _FEWEST_CLICKED
    surplus = sums.weights - sums.places
    spread = float(surplus.std()) / math.sqrt(n)
    return OffPolicyEstimate(
        n, int((sums.agreeing > 0).sum()), places, min(weight / max(n * places, 1e-12), 1.0), effective,
        Interval(value, low, max(high, low), exact=True),
        _self_normalised(sums, places, alpha) if says_enough else None,
        bool(spread and float(surplus.mean()) > _MOST_ERRORS * spread),
    )  # fmt: skip


def gain(
    impressions: Sequence[Impression], lists: Sequence[Sequence[str]], confidence: float
) -> Interval | None:
    """Return how many more clicks a list a model earns than what was served; None without impressions. lists: its own."""
    if not impressions:
        return None
    alpha = 1.0 - confidence
    sums = _Sums(impressions, lists)
    shown = np.array([len(one.items) for one in impressions], np.float64)
    came = np.array([len(one.clicked.intersection(one.items)) for one in impressions], np.float64)
    longest = max(float(shown.max()), 1.0)

    def lower(differences: FloatArray) -> float:
        return adaptive_average_lower(differences + longest, 2.0 * longest, alpha / 2) - longest

    low = lower(sums.clicked - came)
    high = float((sums.places - shown).mean()) - lower(sums.weights - sums.clicked - (shown - came))
    return Interval(float((sums.clicked - came).mean()), low, max(high, low), exact=True)


class _Sums:
    """Of each impression: weights and clicked weights of the places that agree, places of the model's list, and places that agree by choice."""

    def __init__(self, impressions: Sequence[Impression], lists: Sequence[Sequence[str]]) -> None:
        n = len(impressions)
        self.weights, self.clicked, self.places = np.zeros(n), np.zeros(n), np.zeros(n)
        self.agreeing = np.zeros(n, np.int64)
        for row, (shown, wanted) in enumerate(zip(impressions, lists, strict=True)):
            own = list(wanted)[: len(shown.items)]
            self.places[row] = len(own)
            for item, other, propensity in zip(own, shown.items, shown.propensities, strict=False):
                if item != other:
                    continue
                weight = 1.0 / propensity
                self.weights[row] += weight
                self.clicked[row] += weight if item in shown.clicked else 0.0
                self.agreeing[row] += propensity < 1.0


def _self_normalised(sums: _Sums, places: float, alpha: float) -> Interval:
    """Return clicks a unit of weight, times the places of a list, with the interval of the delta method."""
    n, weight = len(sums.weights), float(sums.weights.sum())
    rate = float(sums.clicked.sum()) / weight
    residual = sums.clicked - rate * sums.weights
    error = float(np.sqrt((residual**2).sum())) / weight * math.sqrt(n / max(n - 1, 1))
    reach = NormalDist().inv_cdf(1.0 - alpha / 2) * error
    low, high = max(rate - reach, 0.0) * places, min(rate + reach, 1.0) * places
    return Interval(rate * places, low, high, exact=False)
