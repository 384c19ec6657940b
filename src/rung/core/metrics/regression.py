"""Metrics of numbers: how far off answers are, and how often they are near enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.metrics.base import Answers, FloatArray, MeanMetric, Metric, Truths, seed_of
from rung.core.stats import confidence_bounds
from rung.core.stats.confidence_bounds import Bound
from rung.core.types import Columns, Prediction, Schema


class ErrorMetric(Metric):
    """A score of truths and answers as numbers; unbounded, so its bound is bootstrapped and called estimated."""

    def __init__(
        self, name: str, of: Callable[[FloatArray, FloatArray], float], higher_is_better: bool = False
    ) -> None:
        super().__init__(name)
        self._of = of
        self.higher_is_better = higher_is_better
        self.greatest = 1.0 if higher_is_better else math.inf

    def score(self, truths: Truths, answers: Answers, schema: Schema, inputs: Columns | None = None) -> float:
        return self._of(*_numbers(truths, answers)) if len(truths) else 0.0

    def estimated(
        self,
        truths: Truths,
        answers: Answers,
        schema: Schema,
        units: Sequence[str],
        alpha: float,
        inputs: Columns | None = None,
    ) -> Bound:
        sign = 1.0 if self.higher_is_better else -1.0
        true, said = _numbers(truths, answers)

        def resampled(rows: npt.NDArray[np.int64]) -> float:
            return sign * self._of(true[rows], said[rows])

        return Bound(
            sign * confidence_bounds.bootstrap_lower(resampled, units, alpha, seed_of(units)), exact=False
        )


def mae() -> Metric:
    """Return the mean absolute error, in the target's units."""
    return ErrorMetric("mae", lambda true, said: float(np.abs(true - said).mean()))


def rmse() -> Metric:
    """Return the root of the mean squared error, in the target's units."""
    return ErrorMetric("rmse", lambda true, said: float(np.sqrt(((true - said) ** 2).mean())))


def r2() -> Metric:
    """Return the share of the target's variance that answers explain: 1 at best, 0 for the mean, negative below it."""

    def of(true: FloatArray, said: FloatArray) -> float:
        spread = float(((true - true.mean()) ** 2).sum())
        return 1.0 - float(((true - said) ** 2).sum()) / spread if spread > 0 else 0.0

    return ErrorMetric("r2", of, higher_is_better=True)


def within(name: str, tolerance: float, relative: bool) -> Metric:
    """Return the share of answers no farther off than a tolerance: a share of the truth, or so many units."""

    def is_near(truth: Any, answer: Prediction) -> float:
        allowed = tolerance * abs(truth) if relative else tolerance
        return 1.0 if abs(answer.value - truth) <= allowed + 1e-12 * abs(truth) else 0.0

    return MeanMetric(name, is_near, binary=True)


def covered() -> Metric:
    """Return the share of truths that lie inside the answer's interval."""

    def is_inside(truth: Any, answer: Prediction) -> float:
        low, high = answer.extra.get("low", -math.inf), answer.extra.get("high", math.inf)
        return 1.0 if low <= truth <= high else 0.0

    return MeanMetric("covered", is_inside, binary=True)


def _numbers(truths: Truths, answers: Answers) -> tuple[FloatArray, FloatArray]:
    return np.array(truths, dtype=np.float64), np.array([a.value for a in answers], dtype=np.float64)
