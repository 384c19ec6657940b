"""Sequential test of whether the mean of a value in [0, 1] lies in a given interval.

Null hypothesis: rows are drawn from one distribution whose mean lies in [low, high]. The factors 1 + s (x -
high) and 1 + s (low - x), with s > 0 small enough that they are never negative, have mean at most 1 under the
null, so the capital is a nonnegative supermartingale (Waudby-Smith & Ramdas 2024). An alarm states that the
mean of the served rows lies outside the interval; it says nothing about where the interval came from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rung.monitoring.drift.betting import CapitalProcess, Floats

# Stakes as shares of the largest stake that keeps the factor nonnegative.
_STAKES = (0.03, 0.1, 0.3, 0.7)


@dataclass
class MeanTest:
    """The test of one mean.

    low, high: the interval; 0 and 1 mean no limit on that side. total, rows: sum and number of values.
    """

    low: float
    high: float
    total: float = 0.0
    rows: int = 0
    capital: CapitalProcess = field(default_factory=lambda: CapitalProcess.initial(2 * len(_STAKES)))

    def update(self, values: Floats) -> Floats:
        """Return the log capital after each row. values: in [0, 1], in the order of arrival."""
        x = np.asarray(values, dtype=np.float64)
        if len(x) and not (x.min() >= 0.0 and x.max() <= 1.0):
            raise ValueError("values must lie in [0, 1]")
        up = [np.log1p(s / max(self.high, 1e-9) * (x - self.high)) for s in _STAKES]
        down = [np.log1p(s / max(1 - self.low, 1e-9) * (self.low - x)) for s in _STAKES]
        # Without a limit on a side there is nothing to bet against.
        none = np.zeros_like(x)
        sides = (up if self.high < 1.0 else [none] * len(up)) + (
            down if self.low > 0.0 else [none] * len(down)
        )
        self.total += float(x.sum())
        self.rows += len(x)
        return self.capital.update(np.column_stack(sides))

    @property
    def mean(self) -> float | None:
        """Return the mean of the values so far; None before the first row."""
        return self.total / self.rows if self.rows else None

    def as_dict(self) -> dict[str, Any]:
        """Return the test as JSON."""
        return {
            "low": self.low,
            "high": self.high,
            "total": self.total,
            "rows": self.rows,
            "capital": self.capital.as_dict(),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> MeanTest:
        """Return what `as_dict` wrote."""
        return cls(
            raw["low"], raw["high"], raw["total"], raw["rows"], CapitalProcess.from_dict(raw["capital"])
        )


def chernoff_interval(mean: float, rows: int, alpha: float) -> tuple[float, float]:
    """Return a confidence interval of the mean of independent values in [0, 1], with error at most alpha.

    Chernoff's bound with the Kullback-Leibler divergence (Hoeffding 1963, theorem 1): valid at every size,
    without SciPy.
    """
    if rows == 0:
        return 0.0, 1.0
    room = math.log(2 / alpha) / rows

    def edge(outer: float) -> float:
        inner = mean
        for _ in range(60):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if _bernoulli_kl(mean, middle) <= room else (inner, middle)
        return outer

    return edge(0.0) if mean > 0 else 0.0, edge(1.0) if mean < 1 else 1.0


def _bernoulli_kl(p: float, q: float) -> float:
    """Return the Kullback-Leibler divergence of Bernoulli(p) from Bernoulli(q), in nats."""
    q = min(max(q, 1e-15), 1 - 1e-15)
    first = p * math.log(p / q) if p > 0 else 0.0
    return first + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)
