"""A lower confidence bound of an average whose parts may have any means, chosen by anyone who has seen the parts before.

What is claimed
---------------
X_1, X_2, ... are at least 0. Given all that came before it, X_i has the mean mu_i, which lies in [0, ceiling] and may depend on the past
in any way. With probability at least 1 - alpha, for all n at once, the bound after n values is at most (mu_1 + ... + mu_n) / n. Nothing
else is asked: values may be as large as they like, need not be independent, and one may look as often as one wants.

Why it holds
------------
Let x = X / ceiling, m a number in [0, 1] that is fixed before X_i is seen (here the mean of the values before it), and 0 <= s < 1. For y >=
-1, exp(s y - psi(s) y^2) <= 1 + s y with psi(s) = -log(1 - s) - s (Fan, Grama & Liu 2015, lemma 4.1). With y = x - m >= -1, in expectation
given the past, exp(s (x - m) - psi(s) (x - m)^2) is at most 1 + s (mu - m) <= exp(s (mu - m)). So exp(s (x - mu) - psi(s) (x - m)^2) has at
most mean 1, given the past, and the products over i are a supermartingale that begins at 1. So is the mean of several, each with its own s.
By Ville's inequality it ever reaches 1 / alpha with probability at most alpha; the bound is the smallest average at which it has not. This is
the empirical Bernstein bound of Howard, Ramdas, McAuliffe & Sekhon (2021, theorem 4); that values need no upper end is what Waudby-Smith, Wu,
Ramdas, Karampatziakis & Mineiro (2024, "Anytime-valid off-policy inference for contextual bandits") use it for.

`confidence_bounds.mean_lower` asks for one mean, and `average_lower` for independent values. Neither is given where what a user is shown
today changes what they ask for tomorrow.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
# Stakes from almost all to what suits a million values of small spread; fixed, so that no value chooses its own.
_STAKES = 0.9 / 2.0 ** np.arange(16)


def adaptive_average_lower(values: FloatArray, ceiling: float, alpha: float) -> float:
    """Return a lower bound of the average of the conditional means of values that are at least 0, in [0, ceiling].

    values: in the order in which they came. ceiling: no conditional mean is higher; values may be. 0.0 without values. Raises ValueError
    for values below 0 or without end.
    """
    x = np.asarray(values, np.float64) / ceiling
    if not len(x):
        return 0.0
    if not np.isfinite(x).all() or float(x.min()) < -1e-9:
        raise ValueError("values must be finite and at least 0")
    x = np.maximum(x, 0.0)
    n = len(x)
    before = np.concatenate([[0.0], np.cumsum(x)[:-1]])
    guess = np.minimum((0.5 + before) / np.arange(1, n + 1), 1.0)
    total, spread = float(x.sum()), float(((x - guess) ** 2).sum())
    psi = -np.log1p(-_STAKES) - _STAKES
    level = -math.log(alpha) + math.log(len(_STAKES))

    def refuted(average: float) -> bool:
        return bool(np.logaddexp.reduce(_STAKES * (total - n * average) - psi * spread) >= level)

    below, above = 0.0, 1.0
    for _ in range(50):
        middle = (below + above) / 2.0
        below, above = (middle, above) if refuted(middle) else (below, middle)
    return below * ceiling
