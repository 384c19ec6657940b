"""Metrics of a model that may abstain: how many rows it answers, and how many of its answers are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rung.core.metrics.base import MeanMetric, Metric
from rung.core.stats import confidence_bounds
from rung.core.types import Columns, Prediction, Schema


def coverage() -> MeanMetric:
    """Return the share of rows that are answered, written `coverage` in a bar."""
    return MeanMetric("coverage", lambda truth, answer: float(not answer.abstained), binary=True)


class SelectiveAccuracy(Metric):
    """The accuracy on the rows that are answered; 0 where none is.

    Given how many rows are answered, the right ones among them are binomial, so Clopper-Pearson holds; with several rows
    per unit it is bootstrapped.
    """

    def __init__(self) -> None:
        super().__init__("selective_accuracy")

    def score(
        self,
        truths: Sequence[Any],
        answers: Sequence[Prediction],
        schema: Schema,
        inputs: Columns | None = None,
    ) -> float:
        hits, answered = _counts(truths, answers)
        return hits / answered if answered else 0.0

    def exact_bound(
        self,
        truths: Sequence[Any],
        answers: Sequence[Prediction],
        schema: Schema,
        units: Sequence[str],
        alpha: float,
    ) -> float:
        return confidence_bounds.proportion_lower(*_counts(truths, answers), alpha)


def _counts(truths: Sequence[Any], answers: Sequence[Prediction]) -> tuple[int, int]:
    """Return how many answered rows are right, and how many are answered."""
    answered = [(t, a.value) for t, a in zip(truths, answers, strict=True) if not a.abstained]
    return sum(truth == value for truth, value in answered), len(answered)
