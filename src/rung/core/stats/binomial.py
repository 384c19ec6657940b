"""The lower tail point of a binomial proportion, without scipy: a server imports the metrics, and so this module."""

from __future__ import annotations

import math
from functools import lru_cache

_LOG_2PI = math.log(2.0 * math.pi)
# Of the continued fraction: far more terms than it needs up to a billion rows.
_MOST_TERMS = 1_000_000
_EPSILON = 2.0**-53
# What lies below is called 0: a lower bound may be lower.
_LEAST = 1e-290


@lru_cache(maxsize=4096)
def success_probability(hits: int, n: int, alpha: float) -> float:
    """Return the p at which a binomial of n trials reaches `hits` successes with probability alpha; 0 < hits < n.

    The inverse of the regularised incomplete beta function I_p(hits, n - hits + 1). Newton's method for
    log I_p - log alpha as a function of t = log p: it is concave there (a beta variable has a log-concave density in
    t), so each step ends at or below the solution, and so does the result, up to rounding.
    """
    log_alpha = math.log(alpha)
    p = hits / (n + 1)
    for _ in range(200):
        log_tail, slope = _log_tail(p, hits, n)
        step = (log_alpha - log_tail) / slope
        if p == _LEAST and step < 0.0:
            return 0.0
        following = max(p * math.exp(min(step, 700.0)), _LEAST)
        # From the second step on the iterates rise; they stop rising when rounding is all that is left.
        if abs(following - p) <= 4.0 * _EPSILON * p:
            return min(p, following)
        # A step beyond 1 can only come from rounding.
        p = following if following < 1.0 else (1.0 + p) / 2.0
    return p


def _log_tail(p: float, hits: int, n: int) -> tuple[float, float]:
    """Return log P(at least `hits` successes), and its derivative by log p."""
    a, b = float(hits), float(n - hits + 1)
    log_mass = _log_mass(p, hits, n)
    # The density of Beta(a, b) at p is mass * a / p.
    log_density = log_mass + math.log(a)
    if p < (a + 1.0) / (a + b + 2.0):
        log_tail = log_mass + math.log1p(-p) + math.log(_fraction(p, a, b))
    else:
        rest = math.exp(log_density + math.log1p(-p) - math.log(b)) * _fraction(1.0 - p, b, a)
        log_tail = math.log1p(-min(rest, 1.0 - _EPSILON))
    return log_tail, math.exp(log_density - log_tail)


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction F of I_x(a, b) = x^a (1 - x)^b F / (a B(a, b)), by Lentz's method.

    DLMF 8.17.22; it converges quickly for x below (a + 1) / (a + b + 2).
    """
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    found = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + term / c
            c = c if abs(c) > tiny else tiny
            found *= c * d
        if abs(c * d - 1.0) <= 2.0 * _EPSILON:
            break
    return found


def _log_mass(p: float, k: int, n: int) -> float:
    """Return log P(exactly k successes), 0 < k < n, by Loader's saddle point: no cancellation at large n.

    Loader (2000), "Fast and accurate computation of binomial probabilities".
    """
    misses = n - k
    error = _stirling_error(n) - _stirling_error(k) - _stirling_error(misses)
    deviance = _deviance(k, n * p) + _deviance(misses, n * (1.0 - p))
    return error - deviance - 0.5 * (_LOG_2PI + math.log(k) + math.log1p(-k / n))


def _stirling_error(n: int) -> float:
    """Return log n! minus Stirling's formula."""
    if n < 16:
        return math.lgamma(n + 1.0) - (n + 0.5) * math.log(n) + n - 0.5 * _LOG_2PI
    square = n * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / n


def _deviance(x: float, mean: float) -> float:
    """Return x log(x / mean) + mean - x, without cancellation where the two are near."""
    gap = x - mean
    ratio = gap / (x + mean)
    if abs(ratio) >= 0.1:
        return x * math.log(x / mean) - gap
    found, term, square = gap * ratio, 2.0 * x * ratio, ratio * ratio
    for j in range(1, 100):
        term *= square
        following = found + term / (2 * j + 1)
        if following == found:
            break
        found = following
    return found
