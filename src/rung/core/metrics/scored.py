"""Rows with their answers, and a metric's score and bound of them: inputs go to the metrics that read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rung.core.metrics.base import Answers, FloatArray, MeanMetric, Metric, Truths, per_unit
from rung.core.stats import confidence_bounds
from rung.core.stats.confidence_bounds import Bound
from rung.core.types import Columns, Examples, Schema, take_rows

# How the units of some rows came about: see `bound`.
# Bounds are published in these steps, towards the safe side.
STEP = 0.005
Sampling = Literal["drawn", "fixed", "blocks"]


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


def sampling_of(split: Mapping[str, Any]) -> Sampling:
    """Return how the units of a split came about. split: the rule, as the facts of prepared data hold it."""
    if split.get("units") == "blocks":
        return "blocks"
    return "fixed" if split.get("groups") == "same" else "drawn"


def score(metric: Metric, rows: ScoredRows) -> float:
    """Return the metric's aggregate over the rows."""
    return metric.score(rows.truths, rows.answers, rows.schema, *_inputs(metric, rows))


def values(metric: MeanMetric, rows: ScoredRows) -> FloatArray:
    """Return the metric's value of each row."""
    return metric.values(rows.truths, rows.answers, *_inputs(metric, rows))


def bound(metric: Metric, rows: ScoredRows, alpha: float, sampling: Sampling = "drawn") -> Bound:
    """Return the metric's bound at error alpha, on the side that matters, as the sampling of the units allows.

    drawn: units are drawn independently, all from the same source. fixed: these very units, observed over a later
    stretch of time; they are independent of each other given what came before, but each has its own distribution.
    blocks: stretches of a single series, which nothing makes independent: the bound is estimated by a block bootstrap.
    """
    if sampling == "drawn":
        return metric.bound(rows.truths, rows.answers, rows.schema, rows.units, alpha, *_inputs(metric, rows))
    if (
        sampling == "fixed"
        and isinstance(metric, MeanMetric)
        and math.isfinite(metric.greatest - metric.least)
    ):
        return _fixed_units_bound(metric, values(metric, rows), rows.units, alpha)
    return metric.estimated(rows.truths, rows.answers, rows.schema, rows.units, alpha, *_inputs(metric, rows))


def weighs_units_alike(metric: Metric) -> bool:
    """Return whether the metric's bound counts each unit alike, however many rows it has; other bounds count rows."""
    return isinstance(metric, MeanMetric) and math.isfinite(metric.greatest - metric.least)


def mean_over_units(metric: Metric, rows: ScoredRows) -> float:
    """Return what the bound bounds: the mean over units where it counts them alike; else the aggregate over rows."""
    if not isinstance(metric, MeanMetric) or not weighs_units_alike(metric) or not len(rows.truths):
        return score(metric, rows)
    return float(per_unit(values(metric, rows), rows.units).mean())


def _fixed_units_bound(metric: MeanMetric, found: FloatArray, units: Sequence[str], alpha: float) -> Bound:
    each = per_unit(found, units).clip(metric.least, metric.greatest)
    # As in `MeanMetric.bound`: settled by the metric and the units, never by the values.
    if metric.is_binary and metric.higher_is_better and len(each) == len(units):
        return Bound(confidence_bounds.successes_lower(int(each.sum()), len(each), alpha), exact=True)
    if metric.higher_is_better:
        return Bound(confidence_bounds.average_lower(each, metric.least, metric.greatest, alpha), exact=True)
    return Bound(-confidence_bounds.average_lower(-each, -metric.greatest, -metric.least, alpha), exact=True)


def _inputs(metric: Metric, rows: ScoredRows) -> tuple[Columns, ...]:
    return (rows.inputs,) if metric.reads_inputs else ()
