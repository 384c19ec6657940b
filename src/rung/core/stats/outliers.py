"""Values so far from all others that a fit by squared errors would follow them instead of the rest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# A gap of so many times the range of all other values.
_GAP = 5.0
# At most so large a share of the values is isolated; in small tables up to three of them, but never more than a twentieth.
_SHARE, _FEW, _MOST = 0.01, 3, 0.05
# A placeholder for "missing" stands in at least so many rows, and at most in so large a share.
_LEAST_REPEATED, _MOST_REPEATED = 3, 0.5


def range_without_outliers(values: Floats) -> tuple[float, float]:
    """Return the least and the greatest value that is not isolated from the rest.

    Isolated is what lies beyond a gap of five times the range of all other values, if so few rows do. Values of a heavy tail thin
    out and have no such gap. Where the others are all equal nothing is isolated.
    """
    found = np.sort(values)
    n = len(found)
    most = max(min(_FEW, int(_MOST * n)), int(_SHARE * n))
    for left_out in range(most, 0, -1):
        below = np.arange(left_out + 1)
        above = n - 1 - (left_out - below)
        low, high = found[below], found[above]
        gap_below = np.where(below > 0, low - found[np.maximum(below - 1, 0)], np.inf)
        gap_above = np.where(above < n - 1, found[np.minimum(above + 1, n - 1)] - high, np.inf)
        isolated = (high > low) & (np.minimum(gap_below, gap_above) > _GAP * (high - low))
        if isolated.any():
            place = int(np.flatnonzero(isolated)[0])
            return float(low[place]), float(high[place])
    return float(found[0]), float(found[-1])


def repeated_outlier(values: Floats) -> float | None:
    """Return the value that several rows share beyond a gap of five times the range of all others; None without one."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 4:
        return None
    for end, others in ((0, distinct[1:]), (len(distinct) - 1, distinct[:-1])):
        gap = np.abs(distinct[end] - others).min()
        often = _LEAST_REPEATED <= counts[end] <= _MOST_REPEATED * len(values)
        if often and gap > _GAP * (others[-1] - others[0]):
            return float(distinct[end])
    return None
