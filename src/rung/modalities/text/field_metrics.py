"""Metrics of extracted fields: whole rows, and precision, recall and F1 of values.

*Bounds.* `exact_match` is a proportion of rows, `field_accuracy` a mean of values in [0, 1]. Precision, recall and F1 are
ratios of sums over rows. For a row let t be the values found, f those answered that are wrong, m those missed; then "F1 is at
most c" is "the mean of 2t - c (2t + f + m) is at most 0", a claim about the mean of independent bounded values, which
`ratio_lower` refutes by betting, as for micro-F1 of label sets. Unlike the labels of a classifier, a wrong value counts both
as false and as missed, so the binomial argument for F1 of a label does not hold here, and betting takes its place for single
fields as well. The range of a row's counts must be known before: of each field at most `most` values a row count, and of all
at most `in_all`, the most that any training row has. Found ones count first: t + f and t + m never exceed it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rung.core.field_values import folded_fields, hits_and_misses
from rung.core.metrics.base import Answers, MeanMetric, Metric, Truths, seed_of
from rung.core.stats import confidence_bounds
from rung.core.stats.confidence_bounds import Bound
from rung.core.types import Columns, Prediction, Schema

Floats = npt.NDArray[np.float64]


class ExactMatch(MeanMetric):
    """The share of rows whose fields are all right, none missing and none too many."""

    def __init__(self, name: str) -> None:
        super().__init__(
            name,
            lambda truth, answer: float(folded_fields(truth) == folded_fields(answer.value)),
            binary=True,
        )


class FieldAccuracy(MeanMetric):
    """The mean over rows of the share of fields that are right, empty ones included."""

    def __init__(self, name: str, fields: Sequence[str]) -> None:
        def value(truth: str, answer: Prediction) -> float:
            true, said = folded_fields(truth), folded_fields(answer.value)
            right = sum(true.get(field) == said.get(field) for field in fields)
            return right / max(len(fields), 1)

        super().__init__(name, value)


class ValueMetric(Metric):
    """A ratio of sums of counts over rows, of all fields or of one."""

    def __init__(self, name: str, most: Mapping[str, int], in_all: int) -> None:
        """most: field -> the most values of it that count in a row. in_all: of all fields together."""
        super().__init__(name)
        self.most, self.in_all = dict(most), in_all

    @abstractmethod
    def parts(self, hits: Floats, false: Floats, missed: Floats) -> tuple[Floats, Floats]:
        """Return numerator and denominator of each row, [rows]; the denominator is never the smaller."""

    @abstractmethod
    def widest(self) -> float:
        """Return the largest denominator of a row."""

    def rows(self, truths: Truths, answers: Answers) -> tuple[Floats, Floats]:
        """Return numerator and denominator of each row."""
        counts = np.zeros((len(truths), 3))
        for row, (truth, answer) in enumerate(zip(truths, answers, strict=True)):
            for found in hits_and_misses(str(truth), str(answer.value), self.most).values():
                counts[row] += found
        hits = np.minimum(counts[:, 0], self.in_all)
        return self.parts(hits, *(np.minimum(counts[:, i], self.in_all - hits) for i in (1, 2)))

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        above, below = self.rows(truths, answers)
        return float(above.sum() / max(below.sum(), 1.0))

    def exact_bound(
        self, truths: Truths, answers: Answers, schema: Schema, units: Sequence[str], alpha: float
    ) -> float:
        # By unit: a betting test reads rows in an order that no answer could choose.
        order = np.argsort(np.asarray(units), kind="stable")
        above, below = (part[order] for part in self.rows(truths, answers))
        return confidence_bounds.ratio_lower(above, below, self.widest(), self.widest(), alpha)

    def estimated(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        above, below = self.rows(truths, answers)

        def resampled(rows: npt.NDArray[np.int64]) -> float:
            return float(above[rows].sum() / max(below[rows].sum(), 1.0))

        return Bound(confidence_bounds.bootstrap_lower(resampled, units, alpha, seed_of(units)), exact=False)


class ValueF1(ValueMetric):
    """F1 of values: twice those found over those answered and those there are."""

    def parts(self, hits: Floats, false: Floats, missed: Floats) -> tuple[Floats, Floats]:
        return 2 * hits, 2 * hits + false + missed

    def widest(self) -> float:
        return 2.0 * self.in_all


class ValuePrecision(ValueMetric):
    """The share of answered values that are right."""

    def parts(self, hits: Floats, false: Floats, missed: Floats) -> tuple[Floats, Floats]:
        return hits, hits + false

    def widest(self) -> float:
        return float(self.in_all)


class ValueRecall(ValueMetric):
    """The share of values there are that are found."""

    def parts(self, hits: Floats, false: Floats, missed: Floats) -> tuple[Floats, Floats]:
        return hits, hits + missed

    def widest(self) -> float:
        return float(self.in_all)
