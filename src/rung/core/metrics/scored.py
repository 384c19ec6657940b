"""Rows with their answers, and a metric's score and bound of them: inputs go to the metrics that read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.core.metrics.base import Answers, FloatArray, MeanMetric, Metric, Truths
from rung.core.stats.confidence_bounds import Bound
from rung.core.types import Columns, Examples, Schema, take_rows


@dataclass(frozen=True)
class ScoredRows:
    """Rows with their answers, one entry a row. units: what is drawn independently, as in `Examples`.

    inputs: the rows' columns; a metric that reads none never gets them.
    """

    truths: Truths
    answers: Answers
    schema: Schema
    units: Sequence[str]
    inputs: Columns

    @staticmethod
    def of(examples: Examples, answers: Answers) -> ScoredRows:
        """Return the rows of examples with these answers."""
        return ScoredRows(examples.targets, answers, examples.schema, examples.units, examples.inputs)

    def take(self, places: Sequence[int]) -> ScoredRows:
        """Return these rows, in this order."""
        return ScoredRows(
            [self.truths[i] for i in places],
            [self.answers[i] for i in places],
            self.schema,
            [self.units[i] for i in places],
            take_rows(self.inputs, places),
        )


def score(metric: Metric, rows: ScoredRows) -> float:
    """Return the metric's aggregate over the rows."""
    if metric.reads_inputs:
        return metric.score(rows.truths, rows.answers, rows.schema, rows.inputs)
    return metric.score(rows.truths, rows.answers, rows.schema)


def values(metric: MeanMetric, rows: ScoredRows) -> FloatArray:
    """Return the metric's value of each row."""
    if metric.reads_inputs:
        return metric.values(rows.truths, rows.answers, rows.inputs)
    return metric.values(rows.truths, rows.answers)


def bound(metric: Metric, rows: ScoredRows, alpha: float) -> Bound:
    """Return the metric's bound at error alpha, for rows drawn unit by unit."""
    if metric.reads_inputs:
        return metric.bound(rows.truths, rows.answers, rows.schema, rows.units, alpha, rows.inputs)
    return metric.bound(rows.truths, rows.answers, rows.schema, rows.units, alpha)
