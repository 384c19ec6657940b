"""An exact test that one model is no worse than another by a margin, where a row is won, lost or neither."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rung.core.errors import MissingExtra

FloatArray = npt.NDArray[np.float64]
# Beyond, the betting bound of `core.bounds` decides hardly less sharply, at no cost.
MOST_ROWS = 5_000
# Stakes of the gamblers whose luck orders the outcomes, as shares of the greatest: close where all is lost or nothing is.
_STAKES = np.concatenate([np.geomspace(0.002, 0.5, 24), 1.0 - np.geomspace(0.45, 1e-4, 24)])
# How far a first and a last step along the edge may move the mean of a sample, in its standard deviations.
_COARSE, _FINE = 0.1, 0.005


def no_worse(won: int, lost: int, n: int, margin: float, alpha: float) -> bool:
    """Return whether `won` and `lost` of `n` rows show that less than `margin` more rows are lost than won in the long run.

    Wrong with probability at most alpha, whatever the chances of winning and losing: an exact unconditional test (Barnard 1945;
    of paired proportions: Lloyd & Moldovan 2008). Outcomes are ordered by S, the log capital of the best of several
    gamblers who bet against the margin with constant stakes (Waudby-Smith & Ramdas 2024); how often chance alone makes S
    as large is then counted, not bounded: about half the refusals of the betting bound.

    The worst case over all chances. S grows when a row is turned from lost to neither or from neither to won, so what is
    farther below the margin reaches it less often, and the worst lies on the edge `lost = won + margin`. For the same
    reason an interval [a, b] of won on that edge is bounded by its best corner, won = b and lost = a + margin; intervals are
    halved until the corner says yes, or is so near that it says no.
    """
    most = _largest_losses(_luck(np.array([won]), np.array([lost]), n, margin)[0], n, margin)
    top = (1.0 - margin) / 2.0
    # What looks most like these rows usually says no at once.
    likely = np.array([min(max((won + lost - n * margin) / (2 * n), 0.0), top)])
    if _chance(most, n, likely, likely + margin)[0] > alpha:
        return False
    edges = [0.0]
    while edges[-1] < top:
        edges.append(min(top, edges[-1] + _COARSE * math.sqrt((2.0 * edges[-1] + margin) / n)))
    left, right = np.array(edges[:-1]), np.array(edges[1:])
    while len(left):
        open_ = _chance(most, n, right, left + margin) > alpha
        left, right = left[open_], right[open_]
        if (_chance(most, n, left, left + margin) > alpha).any():
            return False
        if (right - left < _FINE * np.sqrt((2.0 * left + margin) / n)).any():
            return False
        middle = (left + right) / 2.0
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
    return True


def _luck(won: npt.NDArray[np.int64], lost: npt.NDArray[np.int64], n: int, margin: float) -> FloatArray:
    """Return S of outcomes: gains of 1, 0 and -1 as shares of their range, against the mean that the margin allows."""
    mean = (1.0 - margin) / 2.0
    stakes = _STAKES / mean
    each = [np.log1p(stakes * (gain - mean)) for gain in (1.0, 0.5, 0.0)]
    counts = (won, n - won - lost, lost)
    found = np.sum([count[:, None] * log for count, log in zip(counts, each, strict=True)], axis=0).max(
        axis=1
    )
    return np.asarray(found, np.float64)


def _largest_losses(luck: float, n: int, margin: float) -> npt.NDArray[np.int64]:
    """Return, for each number of rows won, the most rows lost at which S is no less; -1 where there is none."""
    won = np.arange(n + 1)
    low, high = np.full(n + 1, -1), n - won
    while (low < high).any():
        middle = (low + high + 1) // 2
        # A hair below: what is equal must not be lost to rounding.
        reaches = _luck(won, middle, n, margin) >= luck - 1e-9
        low, high = np.where(reaches, middle, low), np.where(reaches, high, middle - 1)
    return low


def _chance(most: npt.NDArray[np.int64], n: int, won: FloatArray, lost: FloatArray) -> FloatArray:
    """Return how probable such outcomes are at each of these chances of a row to be won and to be lost."""
    try:
        from scipy.special import betainc, gammaln, xlog1py, xlogy
    except ImportError:
        raise MissingExtra("an exact test", "build", "scipy") from None
    rows = np.flatnonzero(most >= 0)
    k, rest, limit = rows[:, None], n - rows[:, None], most[rows][:, None]
    found = np.empty(len(won))
    for begin in range(0, len(won), 64):
        p, q = won[begin : begin + 64], lost[begin : begin + 64]
        of_rest = np.minimum(q / (1.0 - p), 1.0)
        weight = np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(rest + 1) + xlogy(k, p) + xlog1py(rest, -p))
        few = np.where(
            limit >= rest, 1.0, betainc(np.maximum(rest - limit, 1), limit + 1.0, 1.0 - of_rest[None, :])
        )
        found[begin : begin + 64] = (weight * few).sum(axis=0)
    return found
