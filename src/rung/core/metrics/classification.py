"""Metrics of probabilities: ranking, calibration, recall at a workload, and what errors cost."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.metrics.base import Answers, FloatArray, MeanMetric, Metric, RocAuc, Truths, seed_of
from rung.core.stats import confidence_bounds
from rung.core.stats.confidence_bounds import Bound
from rung.core.types import Columns, Prediction, Schema

BoolArray = npt.NDArray[np.bool_]


class MeanRocAuc(Metric):
    """ROC-AUC: of two labels, the same for either; of more, the mean over labels of each against the rest."""

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        parts = [part.score(truths, answers, schema) for part in self._parts(schema)]
        return math.fsum(parts) / len(parts)

    def bound(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        """Return the mean of K bounds at alpha / K: by the union bound all hold together, and so does their mean."""
        parts = self._parts(schema)
        found = [part.bound(truths, answers, schema, units, alpha / len(parts)) for part in parts]
        return Bound(math.fsum(b.value for b in found) / len(found), all(b.exact for b in found))

    def _parts(self, schema: Schema) -> list[RocAuc]:
        return [RocAuc(label) for label in (schema.labels[-1:] if len(schema.labels) == 2 else schema.labels)]


class PositiveMetric(Metric):
    """A score of how probable each row was said to be of one label, and whether it is; bounds are bootstrapped."""

    def __init__(self, name: str, positive: str) -> None:
        super().__init__(name)
        self.positive = positive

    def sides(self, truths: Truths, answers: Answers, schema: Schema) -> tuple[FloatArray, BoolArray]:
        """Return the probability of the positive label and whether it is the truth, a row each."""
        column = schema.labels.index(self.positive)
        scores = np.array([a.extra["probabilities"][column] for a in answers], dtype=np.float64)
        return scores, np.array([t == self.positive for t in truths], dtype=bool)

    @abstractmethod
    def of(self, scores: FloatArray, is_positive: BoolArray) -> float:
        """Return the metric of these rows."""

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        return self.of(*self.sides(truths, answers, schema))

    def estimated(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        scores, positive = self.sides(truths, answers, schema)
        sign = 1.0 if self.higher_is_better else -1.0

        def resampled(rows: npt.NDArray[np.int64]) -> float:
            return sign * self.of(scores[rows], positive[rows])

        return Bound(
            sign * confidence_bounds.bootstrap_lower(resampled, units, alpha, seed_of(units)), exact=False
        )


class PrAuc(PositiveMetric):
    """Average precision: the area under precision against recall, by steps."""

    def of(self, scores: FloatArray, is_positive: BoolArray) -> float:
        if not is_positive.any():
            return 0.0
        _, hits, alarms = by_threshold(scores, is_positive)
        recall = hits / hits[-1]
        return float(np.sum(np.diff(recall, prepend=0.0) * hits / alarms))


class Ks(PositiveMetric):
    """Kolmogorov-Smirnov: the widest gap between the shares of positives and of others above a score."""

    def of(self, scores: FloatArray, is_positive: BoolArray) -> float:
        if is_positive.all() or not is_positive.any():
            return 0.0
        _, hits, alarms = by_threshold(scores, is_positive)
        others = alarms - hits
        return float(max((hits / hits[-1] - others / others[-1]).max(), 0.0))


class RecallAtAlerts(PositiveMetric):
    """The share of positives among the highest-scored share of rows: what a team that can check so many finds."""

    def __init__(self, name: str, positive: str, rate: float) -> None:
        super().__init__(name, positive)
        self.rate = rate

    def of(self, scores: FloatArray, is_positive: BoolArray) -> float:
        if not is_positive.any():
            return 0.0
        most = self.rate * len(scores)
        _, hits, alarms = by_threshold(scores, is_positive)
        # Rows of one score share the places that are left for them.
        inside = np.interp(most, np.r_[0.0, alarms], np.r_[0.0, hits])
        return float(inside / hits[-1])


class RecallAtPrecision(PositiveMetric):
    """The largest share of positives found by a threshold whose alarms are right at least this often."""

    def __init__(self, name: str, positive: str, precision: float) -> None:
        super().__init__(name, positive)
        self.precision = precision

    def of(self, scores: FloatArray, is_positive: BoolArray) -> float:
        if not is_positive.any():
            return 0.0
        _, hits, alarms = by_threshold(scores, is_positive)
        good = hits >= self.precision * alarms - 1e-9
        return float(hits[good].max() / hits[-1]) if good.any() else 0.0


class RecallAtSpecificity(PositiveMetric):
    """The largest share of positives found by a threshold that leaves at least this share of the others alone."""

    def __init__(self, name: str, positive: str, specificity: float) -> None:
        super().__init__(name, positive)
        self.specificity = specificity

    def of(self, scores: FloatArray, is_positive: BoolArray) -> float:
        others = int((~is_positive).sum())
        if not is_positive.any():
            return 0.0
        _, hits, alarms = by_threshold(scores, is_positive)
        good = alarms - hits <= (1.0 - self.specificity) * others + 1e-9
        return float(hits[good].max() / hits[-1]) if good.any() else 0.0


class ClassShare(Metric):
    """The share of the rows of a label (or of all others) that were answered as such: sensitivity and specificity.

    Given how many rows are of the label, those answered right are binomial, so Clopper-Pearson holds; with several rows
    per unit it is bootstrapped.
    """

    def __init__(self, name: str, label: str, of_others: bool) -> None:
        super().__init__(name)
        self._label, self._of_others = label, of_others

    def _counts(self, truths: Truths, answers: Answers) -> tuple[int, int]:
        asked = [
            (answer.value == self._label) != self._of_others
            for truth, answer in zip(truths, answers, strict=True)
            if (truth == self._label) != self._of_others
        ]
        return sum(asked), len(asked)

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        hits, rows = self._counts(truths, answers)
        return hits / rows if rows else 0.0

    def exact_bound(
        self, truths: Truths, answers: Answers, schema: Schema, units: Sequence[str], alpha: float
    ) -> float:
        return confidence_bounds.proportion_lower(*self._counts(truths, answers), alpha)


class Brier(MeanMetric):
    """The mean squared distance between probabilities and truth, halved: 0 to 1; exact by a betting bound."""

    higher_is_better = False

    def __init__(self, name: str, labels: Sequence[str]) -> None:
        place = {label: i for i, label in enumerate(labels)}

        def value(truth: Any, answer: Prediction) -> float:
            found = np.asarray(answer.extra["probabilities"], dtype=np.float64)
            said = found[place[truth]] if truth in place else 0.0
            return float(((found**2).sum() - 2 * said + 1.0) / 2)

        super().__init__(name, value)


class ExpectedCost(MeanMetric):
    """What errors cost a row on average, in the units of `costs`; between 0 and the dearer error, so its bound is exact."""

    higher_is_better = False

    def __init__(self, name: str, positive: str, false_negative: float, false_positive: float) -> None:
        def value(truth: Any, answer: Prediction) -> float:
            if (truth == positive) == (answer.value == positive):
                return 0.0
            return false_negative if truth == positive else false_positive

        super().__init__(name, value)
        self.greatest = max(false_negative, false_positive)


def by_threshold(scores: FloatArray, is_positive: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return, for each different score from the highest: the score, positives at or above it, rows at or above it."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    hits = np.cumsum(is_positive[order], dtype=np.float64)[last]
    return ordered[last], hits, (last + 1).astype(np.float64)
