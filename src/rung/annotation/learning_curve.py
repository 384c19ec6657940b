"""How good it has become, and whether more labels would change much: a curve and a rule for stopping. Pure functions.

The curve is measured on random rows that train (see `data.audit`), each held out of the fit that answers it; chosen
rows teach, but no score is taken on them, and rows that certify have no say. All points of a curve are measured on the
same rows, so that steps between them are not those of the sample.

When to stop. Two models are compared: one that knows all labels and one that knows the first three quarters of them.
No score of accuracy can differ by more than the share of rows on which the two answer differently, so that share, taken
on unlabelled rows, bounds what the last quarter of the labels was worth, better or worse. It is enough when the upper
confidence bound of the share is at most TOLERANCE.

Its error. (1) The bound is exact (Clopper & Pearson 1934) for rows drawn at random, and since one looks again and again, the j-th look spends
0.05 / (j (j + 1)): with 95 % confidence no look of the whole series understates its share. (2) That the next labels bring no more than the last did is an
assumption: curves of learning flatten, but nobody can promise it.

What the next labels are worth. That rule is too careful to be the only advice, so the curve is drawn on: the score is
taken to grow as the logarithm of the labels, as it did from a quarter of them on. The slope is the mean over random rows of each row's own slope (right
or wrong at each size), so its interval is that of a mean of independent rows (Student's t), the sizes being compared on the same rows. Curves
flatten: the gain is more likely less than said than more. `benchmarks/results/active.md` holds what was said against what came.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.annotation.logistic_regression import fit_head

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
TOLERANCE = 0.03
MIN_LABELS = 60
_MIN_RANDOM = 10
_N_FOLDS = 5
# The outlook speaks of so many labels more; they are hardly worth it when they are expected to bring at most so much, and
# at most TOLERANCE at the upper end.
FORECAST_LABELS, NEGLIGIBLE_GAIN = 100, 0.01


@dataclass(frozen=True)
class CurvePoint:
    """labels: that trained; score: share of the random rows answered rightly, held out; low, high: its 95 % interval."""

    labels: int
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Stability:
    """What the last quarter of `labels` changed. changed: share of the unlabelled rows; at_most: its upper bound at this look."""

    labels: int
    changed: float
    at_most: float
    look: int

    @property
    def is_sufficient(self) -> bool:
        """Return whether more labels would change little, by the rule of this module."""
        return self.labels >= MIN_LABELS and self.at_most <= TOLERANCE


@dataclass(frozen=True)
class GainForecast:
    """What MORE labels after `labels` are expected to add to the score, and the 95 % interval of that expectation.

    since: from how many labels on the curve was drawn on.
    """

    labels: int
    since: int
    gain: float
    low: float
    high: float

    @property
    def is_negligible(self) -> bool:
        """Return whether more labels are hardly worth their while."""
        return self.labels >= MIN_LABELS and self.gain <= NEGLIGIBLE_GAIN and self.high <= TOLERANCE


@dataclass(frozen=True)
class HeldOutResults:
    """right: [sizes, random rows], whether a fit on the first so many labels, that row's fold apart, answers it rightly."""

    sizes: tuple[int, ...]
    correct: npt.NDArray[np.bool_]


def held_out_results(
    vectors: Vectors, codes: Ints, random: npt.NDArray[np.bool_], labels: int
) -> HeldOutResults:
    """Return answers at 10, 20, 40, ... labels and at all of them; none while fewer than ten rows are random.

    vectors, codes: of the rows that train, in the order they were labelled. random: which of them are random.
    """
    test = np.flatnonzero(random)
    n = len(codes)
    if len(test) < _MIN_RANDOM:
        return HeldOutResults((), np.zeros((0, len(test)), bool))
    # The doubled sizes, without one that is nearly all.
    sizes = [size for size in (10 * 2**k for k in range(20)) if size <= n * 0.8] + [n]
    right = np.zeros((len(sizes), len(test)), bool)
    for place, size in enumerate(sizes):
        for fold in range(_N_FOLDS):
            asked = test[fold::_N_FOLDS]
            known = np.setdiff1d(np.arange(size), asked)
            if len(asked) and len(known):
                head = fit_head(vectors[known], codes[known], labels)
                answers = head.probabilities(vectors[asked]).argmax(axis=1)
                right[place, fold::_N_FOLDS] = answers == codes[asked]
    return HeldOutResults(tuple(sizes), right)


def learning_curve(found: HeldOutResults) -> list[CurvePoint]:
    """Return the curve: a point for each size."""
    counts, n = found.correct.sum(axis=1).tolist(), found.correct.shape[1]
    return [
        CurvePoint(size, right / n, *wilson(right, n))
        for size, right in zip(found.sizes, counts, strict=True)
    ]


def forecast_gain(found: HeldOutResults) -> GainForecast | None:
    """Return what the next labels are expected to bring; None before there is a curve to draw on."""
    if not found.sizes:
        return None
    labels = found.sizes[-1]
    used = [place for place, size in enumerate(found.sizes) if size * 4 >= labels]
    if len(used) < 2:
        return None
    logs = np.log([found.sizes[place] for place in used])
    apart = logs - logs.mean()
    slopes = (apart / (apart**2).sum()) @ found.correct[used].astype(np.float64)
    n = len(slopes)
    # Rows that agree altogether would leave no doubt: one row that turns is always allowed for.
    turned = 1.0 / float(logs[-1] - logs[0])
    error = max(float(slopes.std(ddof=1)) / math.sqrt(n), turned / n)
    # Student's t by its first terms (Cornish & Fisher): within 0.01 for the ten rows and more that are asked.
    t = 1.96 + 2.37 / (n - 1) + 2.8 / (n - 1) ** 2
    step = math.log((labels + FORECAST_LABELS) / labels)
    slope = float(slopes.mean())
    gain, half = slope * step, t * error * step
    return GainForecast(labels, found.sizes[used[0]], gain, gain - half, gain + half)


def prediction_stability(
    vectors: Vectors, codes: Ints, unlabelled: Vectors, labels: int, look: int
) -> Stability | None:
    """Return what the last quarter of the labels changed; None before it can be told. look: which one it is, from 1."""
    n = len(codes)
    before = n - n // 4
    if n < 20 or not len(unlabelled) or len(np.unique(codes[:before])) < 2:
        return None
    answers = [
        fit_head(vectors[:size], codes[:size], labels).probabilities(unlabelled).argmax(axis=1)
        for size in (before, n)
    ]
    changed = int((answers[0] != answers[1]).sum())
    at_most = proportion_upper(changed, len(unlabelled), 0.05 / (look * (look + 1)))
    return Stability(n, changed / len(unlabelled), at_most, look)


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's two-sided 95 % interval of a proportion: an estimate, not a certificate."""
    share = hits / n
    centre, wide = (share + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n)
    half = wide * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def proportion_upper(hits: int, n: int, alpha: float) -> float:
    """Return the exact upper bound of a proportion (Clopper & Pearson 1934), without scipy: P(X <= hits | bound) = alpha."""
    if hits >= n:
        return 1.0
    logs = _log_choose(n, range(hits + 1))
    counts = np.arange(hits + 1)
    low, high = hits / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if middle in (low, high) or middle >= 1.0:
            break
        terms = logs + counts * math.log(middle) + (n - counts) * math.log1p(-middle)
        top = float(terms.max())
        inside = top + math.log(float(np.exp(terms - top).sum()))
        low, high = (middle, high) if inside > math.log(alpha) else (low, middle)
    return high


def _log_choose(n: int, counts: Sequence[int]) -> npt.NDArray[np.float64]:
    whole = math.lgamma(n + 1)
    return np.array([whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in counts])
