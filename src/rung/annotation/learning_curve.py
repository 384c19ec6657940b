"""Learning curve of a labelling session, forecast of the next labels' gain, and stopping rule.

Pure functions.

The curve is measured on random rows that train (see `data.labels.audit_sample`), each held out of the fit
that answers it. Chosen rows train, but no score is taken on them, and rows that certify are not used. All
points of a curve are measured on the same rows, so differences between points contain no sampling error of
the rows.

Stopping rule. It compares two models: one fitted on all labels, one on the first three quarters of them.
Their accuracies differ by at most the share of rows on which their answers differ. This share on unlabelled
rows therefore bounds the effect of the last quarter of the labels. Labelling is sufficient when the upper
confidence bound of the share is at most TOLERANCE.

Its error. (1) The bound is exact (Clopper & Pearson 1934) for random rows. As the rule is evaluated
repeatedly, the j-th evaluation spends 0.05 / (j (j + 1)): with 95 % confidence none of them understates its
share. (2) That the next labels bring no more than the last ones is an assumption: learning curves flatten,
but this is not guaranteed.

Forecast. The stopping rule alone is conservative, so the curve is extrapolated: the score is assumed to grow
with the logarithm of the number of labels, as it did from a quarter of them on. The slope is the mean over
random rows of each row's own slope (correct or not at each size), so its interval is that of a mean of
independent rows (Student's t), with all sizes compared on the same rows. As curves flatten, the true gain is
more likely below the forecast than above it. `benchmarks/results/active.md` compares forecasts with measured
gains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.annotation.logistic_regression import fit_classifier
from rung.core.stats.confidence_bounds import proportion_lower
from rung.core.stats.intervals import wilson_interval

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
TOLERANCE = 0.03
MIN_LABELS = 60
_MIN_RANDOM = 10
_N_FOLDS = 5
# Number of labels that the forecast is about, and the gain that counts as negligible if the upper end of its
# interval is at most TOLERANCE.
FORECAST_LABELS, NEGLIGIBLE_GAIN = 100, 0.01


@dataclass(frozen=True)
class CurvePoint:
    """labels: number that trained. score: held-out accuracy on the random rows; low, high: its 95 % interval."""

    labels: int
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Stability:
    """Effect of the last quarter of `labels`.

    changed: share of unlabelled rows with another answer; at_most: its upper bound.
    """

    labels: int
    changed: float
    at_most: float
    look: int

    @property
    def is_sufficient(self) -> bool:
        """Return whether labelling is sufficient by the stopping rule."""
        return self.labels >= MIN_LABELS and self.at_most <= TOLERANCE


@dataclass(frozen=True)
class GainForecast:
    """Expected gain of FORECAST_LABELS labels after `labels`, with its 95 % interval.

    since: number of labels from which the curve was extrapolated.
    """

    labels: int
    since: int
    gain: float
    low: float
    high: float

    @property
    def is_negligible(self) -> bool:
        """Return whether more labels would bring a negligible gain."""
        return self.labels >= MIN_LABELS and self.gain <= NEGLIGIBLE_GAIN and self.high <= TOLERANCE


@dataclass(frozen=True)
class HeldOutResults:
    """correct: [sizes, random rows], whether a fit on the first `size` labels without the row's fold answers
    it correctly.
    """

    sizes: tuple[int, ...]
    correct: npt.NDArray[np.bool_]


def held_out_results(
    vectors: Vectors, codes: Ints, random: npt.NDArray[np.bool_], n_labels: int
) -> HeldOutResults:
    """Return held-out results at 10, 20, 40, ...

    labels and at all of them; no sizes with fewer than ten random rows.

    vectors, codes: of the training rows, in the order they were labelled. random: which of them are random.
    """
    test = np.flatnonzero(random)
    n = len(codes)
    if len(test) < _MIN_RANDOM:
        return HeldOutResults((), np.zeros((0, len(test)), bool))
    # Without a size that is nearly the largest.
    sizes = [size for size in (10 * 2**k for k in range(20)) if size <= n * 0.8] + [n]
    correct = np.zeros((len(sizes), len(test)), bool)
    for nth, size in enumerate(sizes):
        for fold in range(_N_FOLDS):
            held_out = test[fold::_N_FOLDS]
            train = np.setdiff1d(np.arange(size), held_out)
            if len(held_out) and len(train):
                classifier = fit_classifier(vectors[train], codes[train], n_labels)
                answers = classifier.predict_proba(vectors[held_out]).argmax(axis=1)
                correct[nth, fold::_N_FOLDS] = answers == codes[held_out]
    return HeldOutResults(tuple(sizes), correct)


def learning_curve(results: HeldOutResults) -> list[CurvePoint]:
    """Return one point per size."""
    n = results.correct.shape[1]
    scores = results.correct.mean(axis=1).tolist() if n else []
    return [
        CurvePoint(size, score, *wilson_interval(score, n))
        for size, score in zip(results.sizes, scores, strict=True)
    ]


def forecast_gain(results: HeldOutResults) -> GainForecast | None:
    """Return the expected gain of the next labels; None without two sizes from a quarter of the labels on."""
    if not results.sizes:
        return None
    labels = results.sizes[-1]
    used = [nth for nth, size in enumerate(results.sizes) if size * 4 >= labels]
    if len(used) < 2:
        return None
    logs = np.log([results.sizes[nth] for nth in used])
    centred = logs - logs.mean()
    slopes = (centred / (centred**2).sum()) @ results.correct[used].astype(np.float64)
    n = len(slopes)
    # If all rows agreed, the error would be 0: allow for one row that changes.
    one_row = 1.0 / float(logs[-1] - logs[0])
    error = max(float(slopes.std(ddof=1)) / math.sqrt(n), one_row / n)
    # Quantile of Student's t by the first terms of its Cornish-Fisher expansion: within 0.01 from ten rows
    # on.
    t = 1.96 + 2.37 / (n - 1) + 2.8 / (n - 1) ** 2
    step = math.log((labels + FORECAST_LABELS) / labels)
    slope = float(slopes.mean())
    gain, half = slope * step, t * error * step
    return GainForecast(labels, results.sizes[used[0]], gain, gain - half, gain + half)


def prediction_stability(
    vectors: Vectors, codes: Ints, unlabelled: Vectors, n_labels: int, look: int
) -> Stability | None:
    """Return the effect of the last quarter of the labels; None with fewer than 20 labels.

    look: number of this evaluation, from 1, which determines its share of the error.
    """
    n = len(codes)
    before = n - n // 4
    if n < 20 or not len(unlabelled) or len(np.unique(codes[:before])) < 2:
        return None
    answers = [
        fit_classifier(vectors[:size], codes[:size], n_labels).predict_proba(unlabelled).argmax(axis=1)
        for size in (before, n)
    ]
    changed = int((answers[0] != answers[1]).sum())
    at_most = proportion_upper(changed, len(unlabelled), 0.05 / (look * (look + 1)))
    return Stability(n, changed / len(unlabelled), at_most, look)


def proportion_upper(hits: int, n: int, alpha: float) -> float:
    """Return the exact upper bound of a proportion (Clopper & Pearson 1934)."""
    return 1.0 - proportion_lower(n - hits, n, alpha)
