"""Choose among smaller versions of a winner, on training rows alone; the argument why its certificate stays valid.

Why searching does not spoil the certificate
--------------------------------------------
Which candidates are made, measured and compared, and which one is chosen, depends on three things: training rows (each
candidate is scored on rows that its own making did not see, fold by fold), times and sizes of files on this machine, and what
earlier looks have published, which `certificate.lock` keeps. It depends on no certification row. So given what was published
before, the chosen bundle is fixed before its look, exactly as `building.certify` asks of any bundle, however many candidates
lost: a thousand candidates cost nothing, because none of them was held against these rows. What is spent is one more look, at
alpha / (2**j T): the look at the run's own winner is among the j - 1 before it, and if that one passed, its bound is in T.

What the search does spoil is its own estimate: of many candidates the luckiest on the held-out training rows is chosen, so
"lost" is a little too good. It decides what is looked at, and is shown as an estimate; the bound that is published is that of
the chosen file on the certification rows. `tests/stages/test_compression_simulation.py` plays it: hundreds of candidates of
known truth, the luckiest taken, and a certificate that is wrong no more often than it says.

One look a call, at one candidate. If it fails, the next best is not tried on the same rows by itself: that would be a search on
certification rows, paid for with an alpha halved each time. Whoever calls again pays for it knowingly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.core.metrics.base import MeanMetric, Metric, per_unit
from rung.core.metrics.scored import ScoredRows, mean_over_units, values
from rung.core.spec.bar import Condition
from rung.core.spec.compress import Prefer

Trial = Mapping[str, Any]
# A smaller file may answer so much slower, and a faster one be so much larger, at most.
_WORSE = 1.25
# Times of two runs of the same file differ by so much: less is no gain.
_NOISE = 0.95
_TWO_SIDED = 1.96


@dataclass(frozen=True)
class Wanted:
    """What is asked of a smaller bundle.

    size_mb: at most, None: as small as can be. loss: of the bar's first metric, at most. prefer: what is made least. train: whether
    networks may be trained after a cut.
    """

    size_mb: float | None = None
    loss: float = 0.005
    prefer: Prefer = "size"
    train: bool = False


def loss_of(metric: Metric, before: ScoredRows, after: ScoredRows) -> dict[str, Any]:
    """Return what a candidate loses of a metric on the same held-out rows, positive: worse; with a paired interval at 95 %.

    Of a metric without a largest value (RMSE, log loss): relative to the score before. The interval is normal, from the
    differences of units; None where the metric is no mean of rows.
    """
    old = mean_over_units(metric, before)
    sign = 1.0 if metric.higher_is_better else -1.0
    if not math.isfinite(metric.greatest - metric.least):
        sign /= abs(old) or 1.0
    lost = sign * (old - mean_over_units(metric, after))
    found: dict[str, Any] = {"lost": round(lost, 6), "interval": None}
    if isinstance(metric, MeanMetric):
        each = per_unit(sign * (values(metric, before) - values(metric, after)), before.units)
        wide = _TWO_SIDED * float(np.std(each, ddof=1)) / math.sqrt(len(each)) if len(each) > 1 else 0.0
        found["interval"] = [round(float(each.mean()) - wide, 6), round(float(each.mean()) + wide, 6)]
    return found


def problems(trial: Trial, winner: Trial, wanted: Wanted, bar: Sequence[Condition]) -> list[str]:
    """Return why a candidate cannot be chosen, the keys of messages below `compress.why`; [] when it can.

    Both are measured trials; a candidate has besides what it `lost`, and whether the next look is `expected` to pass. A winner without a certificate asks for none.
    """
    if trial["status"] == "failed":
        return ["failed"]
    found = []
    if trial["lost"] > wanted.loss:
        found.append("lost")
    if trial["differing"]:
        found.append("broken")
    if wanted.size_mb is not None and trial["size_mb"] > wanted.size_mb:
        found.append("too_large")
    smaller = trial["size_mb"] < winner["size_mb"]
    # The winner's time from the same moments, where it was taken: machines are slower at one time than at another.
    before = float(trial.get("winner_cpu_seconds_per_1k") or _seconds(winner))
    faster = _seconds(trial) < _NOISE * before
    if wanted.prefer == "size" and not smaller:
        found.append("not_smaller")
    if wanted.prefer == "size" and _seconds(trial) > _WORSE * before:
        found.append("slower")
    if wanted.prefer == "speed" and not faster:
        found.append("not_faster")
    if wanted.prefer == "speed" and trial["size_mb"] > _WORSE * winner["size_mb"]:
        found.append("larger")
    if trial["over_limits"]:
        found.append("over_limits")
    if winner["certified"] and not _meets_bar(trial, bar):
        found.append("below_bar")
    elif winner["certified"] and not trial["expected"]:
        found.append("not_expected")
    return found


def _meets_bar(trial: Trial, bar: Sequence[Condition]) -> bool:
    return all(condition.met_by(trial["scores"][condition.metric]) for condition in bar)


def choose(trials: Sequence[Trial], wanted: Wanted) -> Trial | None:
    """Return the smallest (or fastest) of the candidates without a problem, the better score in a tie; None without any."""
    sound = [trial for trial in trials if not trial["problems"]]
    if wanted.prefer == "speed":
        return min(sound, key=lambda t: (_seconds(t), t["size_mb"]), default=None)
    return min(sound, key=lambda t: (t["size_mb"], t["lost"], _seconds(t)), default=None)


def smallest(trials: Sequence[Trial]) -> Trial | None:
    """Return the smallest candidate whose only fault is its size, or that has none: what an impossible target is told."""
    near = [trial for trial in trials if not set(trial["problems"]) - {"too_large"}]
    return min(near, key=lambda t: t["size_mb"], default=None)


def front(trials: Sequence[Trial], key: str) -> list[str]:
    """Return the names of the candidates that no other beats in both loss and `key` (size_mb, usd_per_1k)."""
    found: list[str] = []
    least = math.inf
    for trial in sorted((t for t in trials if t["status"] != "failed"), key=lambda t: (t[key], t["lost"])):
        if trial["lost"] < least:
            found.append(trial["name"])
            least = trial["lost"]
    return found


def _seconds(trial: Trial) -> float:
    return float(trial["measured"]["cpu_seconds_per_1k"])
