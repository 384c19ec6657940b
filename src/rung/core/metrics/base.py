"""Metrics: an aggregate people read, one value per row where it is a mean, and its own confidence bound."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rung.core.stats import confidence_bounds
from rung.core.stats.confidence_bounds import Bound
from rung.core.types import Columns, Prediction, Schema, records, take_rows

FloatArray = npt.NDArray[np.float64]
Truths = Sequence[Any]
Answers = Sequence[Prediction]


class Metric(ABC):
    """One way to score answers against the truth.

    greatest and least: the ends of its range. higher_is_better: which end is good. A bar on a metric where
    lower is better is met when the upper bound lies at or below it; `bound` returns that upper bound.
    reads_inputs: the metric needs the inputs of the rows; `score`, `bound` and `values` then get them, column by column.
    """

    reads_inputs: ClassVar[bool] = False
    least: float = 0.0
    greatest: float = 1.0
    higher_is_better: bool = True

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        """Return the aggregate over these rows."""

    def bound(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        """Return the bound on the side that matters, at error alpha, for rows drawn unit by unit.

        Exact where every row is a unit of its own and the metric knows such a bound, bootstrapped over units otherwise.
        """
        alone = len(set(units)) == len(units)
        exact = self.exact_bound(truths, answers, schema, units, alpha) if alone else None
        if exact is None:
            return self.estimated(truths, answers, schema, units, alpha, inputs)
        return Bound(exact, exact=True)

    def exact_bound(
        self, truths: Truths, answers: Answers, schema: Schema, units: Sequence[str], alpha: float
    ) -> float | None:
        """Return the exact bound for rows drawn independently, each a unit of its own; None for a metric without one."""
        return None

    def values(self, truths: Truths, answers: Answers, inputs: Columns | None = None) -> FloatArray | None:
        """Return one value per row, shape (rows,), in [least, greatest], whose mean is the score; None if it is no mean."""
        return None

    def estimated(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        """Return the bootstrap bound over whole units, for what has no exact one."""
        sign = 1.0 if self.higher_is_better else -1.0

        def score(indices: npt.NDArray[np.int64]) -> float:
            picked = indices.tolist()
            rows = [truths[i] for i in picked], [answers[i] for i in picked], schema
            if inputs is None:
                return sign * self.score(*rows)
            return sign * self.score(*rows, take_rows(inputs, picked))

        return Bound(
            sign * confidence_bounds.bootstrap_lower(score, units, alpha, seed_of(units)), exact=False
        )


class MeanMetric(Metric):
    """The mean over units of a value per row in [least, greatest]; exact at every size.

    binary: every value is 0 or 1, whatever the rows. Declared, not looked up in the rows at hand: choosing
    between two bounds by what the rows hold would spend the error of both.
    """

    def __init__(self, name: str, value: Callable[[Any, Prediction], float], binary: bool = False) -> None:
        super().__init__(name)
        self._value = value
        self.is_binary = binary

    def values(self, truths: Truths, answers: Answers, inputs: Columns | None = None) -> FloatArray:
        """Return one value per row. A metric that reads inputs overrides this."""
        return np.array([self._value(t, a) for t, a in zip(truths, answers, strict=True)], dtype=np.float64)

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        return float(self.values(truths, answers, inputs).mean()) if len(truths) else 0.0

    def bound(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        if not np.isfinite([self.least, self.greatest]).all():
            return self.estimated(truths, answers, schema, units, alpha, inputs)
        # A mean of values at the edge of the range may leave it by the last bit.
        values = per_unit(self.values(truths, answers, inputs), units).clip(self.least, self.greatest)
        if self.is_binary and self.higher_is_better and len(values) == len(units):
            return Bound(
                confidence_bounds.proportion_lower(int(values.sum()), len(values), alpha), exact=True
            )
        if self.higher_is_better:
            return Bound(confidence_bounds.mean_lower(values, self.least, self.greatest, alpha), exact=True)
        return Bound(-confidence_bounds.mean_lower(-values, -self.greatest, -self.least, alpha), exact=True)


class InputMeanMetric(MeanMetric):
    """The mean over units of a value per row in [least, greatest] that depends on the row's inputs as well.

    value: called with the truth, the answer and the row's inputs (field name -> value).
    """

    reads_inputs = True

    def __init__(
        self, name: str, value: Callable[[Any, Prediction, Mapping[str, Any]], float], binary: bool = False
    ) -> None:
        super().__init__(name, lambda truth, answer: math.nan, binary)
        self._value_of_row = value

    def values(self, truths: Truths, answers: Answers, inputs: Columns | None = None) -> FloatArray:
        if inputs is None:
            raise ValueError(f"{self.name} reads the inputs of the rows: pass `inputs`")
        rows = records(inputs) if inputs else ({} for _ in truths)
        found = [self._value_of_row(t, a, row) for t, a, row in zip(truths, answers, rows, strict=True)]
        return np.array(found, dtype=np.float64)


class MacroF1(Metric):
    """The mean over labels of F1; exact for independent rows, bootstrapped over groups otherwise."""

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        counts = f1_counts(truths, answers, schema.labels)
        return math.fsum(2 * tp / max(2 * tp + misses, 1) for tp, misses in counts) / max(len(counts), 1)

    def exact_bound(
        self, truths: Truths, answers: Answers, schema: Schema, units: Sequence[str], alpha: float
    ) -> float:
        counts = f1_counts(truths, answers, schema.labels)
        return confidence_bounds.macro_f1_lower(counts, alpha)


class ClassF1(Metric):
    """F1 of one label, written `f1:<label>` in a bar."""

    def __init__(self, label: str) -> None:
        super().__init__(f"f1:{label}")
        self.label = label

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        ((tp, misses),) = f1_counts(truths, answers, (self.label,))
        return 2 * tp / max(2 * tp + misses, 1)

    def exact_bound(
        self, truths: Truths, answers: Answers, schema: Schema, units: Sequence[str], alpha: float
    ) -> float:
        ((tp, misses),) = f1_counts(truths, answers, (self.label,))
        return confidence_bounds.f1_lower(tp, misses, alpha)


class RocAuc(Metric):
    """The chance that a row of `positive` scores above one that is not; for two labels."""

    def __init__(self, positive: str) -> None:
        super().__init__(f"roc_auc:{positive}")
        self.positive = positive

    def _sides(self, truths: Truths, answers: Answers, schema: Schema) -> tuple[FloatArray, FloatArray]:
        column = schema.labels.index(self.positive)
        scores = np.array([a.extra["probabilities"][column] for a in answers], dtype=np.float64)
        is_positive = np.array([t == self.positive for t in truths], dtype=bool)
        return scores[is_positive], scores[~is_positive]

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        positives, negatives = self._sides(truths, answers, schema)
        if not (len(positives) and len(negatives)):
            return 0.5
        below = np.sort(negatives)
        less = np.searchsorted(below, positives, "left")
        up_to = np.searchsorted(below, positives, "right")
        return float((less + up_to).mean() / 2 / len(below))

    def exact_bound(
        self, truths: Truths, answers: Answers, schema: Schema, units: Sequence[str], alpha: float
    ) -> float:
        # By unit: the pairs must be the same, in whatever order the rows stand in the file.
        order = sorted(range(len(units)), key=lambda i: units[i])
        positives, negatives = self._sides([truths[i] for i in order], [answers[i] for i in order], schema)
        return confidence_bounds.auc_lower(positives, negatives, alpha, seed_of(units))


class LogLoss(Metric):
    """Mean of -log of the probability given to the truth, in nats; unbounded, so its bound is estimated."""

    greatest = math.inf
    higher_is_better = False

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        column = {label: i for i, label in enumerate(schema.labels)}
        losses = [
            -math.log(max(float(a.extra["probabilities"][column[t]]) if t in column else 0.0, 1e-15))
            for t, a in zip(truths, answers, strict=True)
        ]
        return math.fsum(losses) / max(len(losses), 1)


def per_unit(values: FloatArray, units: Sequence[str]) -> FloatArray:
    """Return the mean value of each unit, units in the order of their hash: no order a label could choose."""
    _, member = np.unique(np.asarray(units), return_inverse=True)
    return np.asarray(np.bincount(member, weights=values) / np.bincount(member), dtype=np.float64)


def f1_counts(truths: Truths, answers: Answers, labels: Sequence[str]) -> list[tuple[int, int]]:
    """Return (true positives, false positives + false negatives) of each label."""
    hits = dict.fromkeys(labels, 0)
    misses = dict.fromkeys(labels, 0)
    for truth, answer in zip(truths, answers, strict=True):
        if truth == answer.value:
            if truth in hits:
                hits[truth] += 1
            continue
        for label in (truth, answer.value):
            if label in misses:
                misses[label] += 1
    return [(hits[label], misses[label]) for label in labels]


def seed_of(units: Sequence[str]) -> int:
    """Return a seed that depends on the set of units alone, so that a bound is the same each time."""
    total = 0
    for unit in units:
        total ^= int(unit[:12], 16)
    return total
