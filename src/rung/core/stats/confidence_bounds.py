"""One-sided lower confidence bounds: exact where mathematics has one, estimated where it has none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from rung.core.stats.binomial import success_probability

FloatArray = npt.NDArray[np.float64]
# A bootstrap over fewer units than these says next to nothing.
FEWEST_UNITS = 20
# Parts of the rows that the jackknife leaves out in turn, at most: each is one more score.
_JACKKNIFE_PARTS = 200
# Ratios are tested at these points; a finer grid gains at most its step.
_RATIO_GRID = 200


@dataclass(frozen=True)
class Bound:
    """A lower bound at error `alpha`. exact: it holds for every distribution of rows, at every size."""

    value: float
    exact: bool


def proportion_lower(hits: int, n: int, alpha: float) -> float:
    """Return the exact lower bound of a proportion from `hits` of `n`; 0.0 when nothing was hit.

    Clopper & Pearson (1934): P(bound > truth) <= alpha for independent rows. Valid for one look: see
    `building.certify` for how looks share the error budget.
    """
    if hits <= 0 or n <= 0:
        return 0.0
    if hits >= n:
        return float(alpha ** (1.0 / n))
    return success_probability(int(hits), int(n), float(alpha))


def f1_lower(tp: int, misses: int, alpha: float) -> float:
    """Return the exact lower bound of a class's F1 from its true positives and FP + FN.

    F1 = 2J / (1 + J) grows with J = TP / (TP + FP + FN). Given how many rows are predicted or truly of the
    class, TP is binomial with probability J, so a bound of J is a bound of F1.
    """
    jaccard = proportion_lower(tp, tp + misses, alpha)
    return 2.0 * jaccard / (1.0 + jaccard)


def macro_f1_lower(counts: Sequence[tuple[int, int]], alpha: float) -> float:
    """Return the lower bound of macro-F1 from (TP, FP + FN) a class: the mean of K bounds at alpha / K.

    By the union bound all K hold together with error at most alpha, and so does their mean.
    """
    return math.fsum(f1_lower(tp, misses, alpha / len(counts)) for tp, misses in counts) / len(counts)


def auc_lower(positives: FloatArray, negatives: FloatArray, alpha: float, seed: int) -> float:
    """Return the exact lower bound of ROC-AUC: Clopper-Pearson on random disjoint pairs; a tie is a loss.

    positives, negatives: scores of rows of either class. Disjoint pairs are independent and each is won
    with probability AUC; all pairs would be dependent, and no exact bound is known for them.
    """
    rng = np.random.default_rng(seed)
    pairs = min(len(positives), len(negatives))
    won = rng.permutation(positives)[:pairs] > rng.permutation(negatives)[:pairs]
    return proportion_lower(int(won.sum()), pairs, alpha)


def mean_lower(values: FloatArray, low: float, high: float, alpha: float) -> float:
    """Return the exact lower bound of the mean of independent values in [low, high].

    A gambler bets against each candidate mean m with the predictable stakes of Waudby-Smith & Ramdas
    (2024, "Estimating means of bounded random variables by betting"); by Ville's inequality the chance
    that she ever multiplies her capital by 1/alpha under the true mean is at most alpha. The bound is the
    smallest m that she has not ruined. The order of the rows must not depend on their values.
    """
    if len(values) == 0:
        return low
    return low + _largest_refuted(_gambler(values, low, high, alpha)) * (high - low)


def _largest_refuted(refuted: Callable[[float], bool]) -> float:
    """Return the end of the candidates in [0, 1] that are refuted: those below it are, those above it are not."""
    below, above = 0.0, 1.0
    for _ in range(50):
        middle = (below + above) / 2.0
        if refuted(middle):
            below = middle
        else:
            above = middle
    return below


def average_lower(values: FloatArray, low: float, high: float, alpha: float) -> float:
    """Return the exact lower bound of the average of the means of independent values in [low, high].

    The values need not have the same distribution: what is bounded is the average of their n means. `mean_lower` is
    not proven for that: its stakes follow the values seen so far, so a row whose mean is high may meet a high stake.
    Here the stakes are constant. Against a candidate m, values as shares x of the range, each of several gamblers
    ends with the product of 1 - s + s x / m, and together they have the mean of their capitals. With means mu_i of
    average mu <= m the expected product is the product of 1 + s (mu_i / m - 1), by independence, and that is at most
    (1 + s (mu / m - 1))^n <= 1, by the inequality of arithmetic and geometric means. So by Markov's inequality the
    final capital reaches 1 / alpha with probability at most alpha. The final one, not the largest on the way: for
    rows of different means the capital is no supermartingale in any order of the rows. It falls as m grows, so the
    candidates that it refutes are those below the bound.
    """
    if len(values) == 0:
        return low
    return low + _largest_refuted(_constant_gamblers(values, low, high, alpha)) * (high - low)


def average_exceeds(values: FloatArray, least: float, low: float, high: float, alpha: float) -> bool:
    """Return whether `average_lower` lies above `least`. Wrong with probability at most alpha."""
    if not len(values):
        return False
    return _constant_gamblers(values, low, high, alpha)((least - low) / (high - low))


def successes_lower(hits: int, n: int, alpha: float) -> float:
    """Return the exact lower bound of the average success probability of n independent trials that may differ.

    Clopper-Pearson's, but at most (hits - 1) / n. Hoeffding (1956, theorem 4): among trials of average probability p,
    reaching k successes is likeliest when all have the probability p, if k >= n p + 1. The bound exceeds p only if
    it is larger than p at the observed k, and then (k - 1) / n > p. Without the cap a single hit would claim too
    much: one trial that succeeds with probability 0.0505 among certain failures has the average 0.0505 / n.
    """
    return min(proportion_lower(hits, n, alpha), max(hits - 1, 0) / n) if n else 0.0


def _constant_gamblers(values: FloatArray, low: float, high: float, alpha: float) -> Callable[[float], bool]:
    """Return what tells of a candidate average, as a share of the range, whether the gamblers of `average_lower` refute it."""
    x = _shares(values, low, high)[None, :]
    stakes = _constant_stakes(len(values))[:, None]

    def refuted(m: float) -> bool:
        logs = np.log1p(stakes * (x / m - 1.0)).sum(axis=1)
        return bool(np.logaddexp.reduce(logs) - math.log(len(stakes)) >= -math.log(alpha))

    return refuted


def _constant_stakes(n: int) -> FloatArray:
    """Return the shares that gamblers stake of what they can: from almost all, halved, to what suits coins n times.

    They depend on the number of values alone: a stake chosen by the values would not be constant.
    """
    least = 2.0 / math.sqrt(n)
    count = max(math.floor(math.log2(0.95 / least)) + 1, 1) if least < 0.95 else 1
    return np.asarray(0.95 / 2.0 ** np.arange(count), dtype=np.float64)


def mean_exceeds(values: FloatArray, least: float, low: float, high: float, alpha: float) -> bool:
    """Return whether `mean_lower` lies above `least`: one bet instead of fifty. Wrong with probability at most alpha."""
    return bool(len(values)) and _gambler(values, low, high, alpha)((least - low) / (high - low))


def ratio_lower(above: FloatArray, below: FloatArray, least: float, most: float, alpha: float) -> float:
    """Return a lower bound on sum(above) / sum(below) in expectation, for rows drawn independently.

    above, below: of each row, 0 <= above <= below. For every c in [0, 1], above - c * below must lie in [-c * least,
    (1 - c) * most]. "The ratio is at most c" is "the mean of above - c * below is at most 0". The claims are nested, so the
    largest c of a fixed grid up to which all are refuted, tested from below and stopped at the first that is not, errs with
    probability at most alpha: it lies above the truth only if the first true claim of the grid was refuted.
    """
    reached = 0.0
    for point in range(1, _RATIO_GRID):
        c = point / _RATIO_GRID
        low, high = -c * least, (1 - c) * most
        values = above - c * below
        # A value at the edge of the range may leave it by the last bit, and by no more.
        values = np.where(np.abs(values - values.clip(low, high)) < 1e-9, values.clip(low, high), values)
        if not mean_exceeds(values, 0.0, low, high, alpha):
            break
        reached = c
    return reached


def _gambler(values: FloatArray, low: float, high: float, alpha: float) -> Callable[[float], bool]:
    """Return what tells of a candidate mean, as a share of the range, whether the gambler of `mean_lower` ruins it.

    Her capital falls as the candidate grows, so what she ruins lies below what she does not.
    """
    x = _shares(values, low, high)
    n = len(x)
    count = np.arange(1, n + 1)
    mean = (0.5 + np.cumsum(x)) / (count + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (count + 1)
    # The stake on row t uses rows before t alone: that is what makes the capital a martingale.
    before = np.concatenate([[0.25], variance[:-1]])
    stakes = np.sqrt(2.0 * math.log(1.0 / alpha) / (n * before))

    def ruined(m: float) -> bool:
        capped = np.minimum(stakes, 0.75 / m)
        return bool(np.cumsum(np.log1p(capped * (x - m))).max() >= math.log(1.0 / alpha))

    return ruined


def _shares(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return values as shares of their range; raises ValueError when one lies outside it."""
    if len(values) and not (np.isfinite(values).all() and values.min() >= low and values.max() <= high):
        raise ValueError(f"values must lie in [{low}, {high}]")
    return (np.asarray(values, dtype=np.float64) - low) / (high - low)


def bootstrap_lower(
    score: Callable[[npt.NDArray[np.int64]], float], groups: Sequence[str], alpha: float, seed: int
) -> float:
    """Return an estimated lower bound from 2,000 resamples of whole groups; -inf with fewer than FEWEST_UNITS groups.

    score: maps row indices to the score. The alpha quantile of the resamples (Efron 1979), or the score less
    `_errors_below` standard errors where that is lower: quantiles of few groups are too high, and none lies below 1
    in 2,000, so that later looks could not be told from earlier ones. The standard error is that of the resamples or
    of the jackknife, whichever is larger. Not exact: on few rows with rare large losses it is still too high more
    often than alpha, which is why whoever shows it must call it estimated.
    """
    rng = np.random.default_rng(seed)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(member, kind="stable")
    ends = np.cumsum(np.bincount(member))
    if len(ends) < FEWEST_UNITS:
        return -math.inf
    starts = np.concatenate([[0], ends[:-1]])
    scores = np.empty(2000)
    for draw in range(len(scores)):
        chosen = rng.integers(0, len(ends), len(ends))
        alone = len(ends) == len(order)
        indices = order[chosen] if alone else np.concatenate([order[starts[g] : ends[g]] for g in chosen])
        scores[draw] = score(indices)
    if scores.std() == 0.0:
        return -math.inf  # Resamples that all agree say nothing of how far the score could be off.
    part = rng.permutation(len(ends)) % min(len(ends), _JACKKNIFE_PARTS)
    left_out = np.array([score(np.flatnonzero(part[member] != k)) for k in range(part.max() + 1)])
    influence = (len(left_out) - 1) * (left_out.mean() - left_out)
    error = max(float(scores.std()), float(np.sqrt((influence**2).mean() / (len(left_out) - 1))))
    studentised = score(np.arange(len(groups))) - _errors_below(influence, alpha) * error
    return min(float(np.quantile(scores, alpha, method="lower")), studentised)


def _errors_below(influence: FloatArray, alpha: float) -> float:
    """Return how many standard errors below a score its lower bound lies.

    influence: of each part of the rows on the score, as the jackknife tells. Student's t (Cornish & Fisher 1938), and
    more where a few rows lower the score by much: Hall's correction for skewness (1992, "The Bootstrap and Edgeworth
    Expansion", 3.6). The skewness of parts over the root of their number is that of rows over the root of theirs.
    """
    z, freedom = -NormalDist().inv_cdf(alpha), len(influence) - 1
    student = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    spread = float((influence**2).mean())
    skewness = float((influence**3).mean()) / spread**1.5 if spread > 0.0 else 0.0
    return student + max(-skewness, 0.0) * (2 * z * z + 1) / (6 * math.sqrt(len(influence)))


def rows_needed(rate: float, bar: float, alpha: float, most: int = 1_000_000) -> int | None:
    """Return the fewest rows at which a true proportion `rate` is expected to certify `bar`.

    None when rate does not exceed bar, or when more than `most` rows were needed. 0.95 at 95 % needs 59
    faultless rows.
    """
    if rate <= bar:
        return None

    def enough(n: int) -> bool:
        return proportion_lower(math.floor(rate * n + 1e-9), n, alpha) >= bar

    n = 1
    while not enough(n):
        n *= 2
        if n > most:
            return None
    low, high = n // 2, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
