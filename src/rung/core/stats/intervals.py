"""Two-sided confidence intervals of means: estimates for tables and charts, not certificates."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson_interval(
    mean: float, n: int, confidence: float = 0.95, variance: float | None = None
) -> tuple[float, float]:
    """Return Wilson's score interval (1927) of a mean of n independent values.

    variance: of the values. None for a proportion, which has the variance mean * (1 - mean); its interval is
    clipped to [0, 1].
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    spread = mean * (1.0 - mean) if variance is None else variance
    shrink = 1.0 + z * z / n
    centre = (mean + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(spread / n + z * z / (4 * n * n))
    if variance is None:
        return max(centre - half, 0.0), min(centre + half, 1.0)
    return centre - half, centre + half
