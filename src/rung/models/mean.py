"""Baseline: always predict the mean of the training targets. Every other model must beat it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np

from rung.core.model import Cost, DataFacts, FitContext, Model, NoParams
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.tables.target_transform import COVERAGE


class Mean(Model):
    """Use it as a baseline: a model that hardly beats it has learned nothing."""

    TASKS = frozenset({"tabular_regression"})
    Params = NoParams

    def __init__(self, value: float, low: float, high: float) -> None:
        self._value, self._low, self._high = value, low, high

    @classmethod
    def fit(cls, examples: Examples, params: Any, context: FitContext) -> Self:
        """Return the mean, and the quantiles that contain nine of ten targets."""
        values = np.array(examples.targets, dtype=np.float64)
        low, high = np.quantile(values, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
        mean = float(values.mean())
        return cls(mean, float(min(low, mean)), float(max(high, mean)))

    def predict(self, inputs: Columns) -> list[Prediction]:
        rows = len(next(iter(inputs.values())))
        extra = {"low": self._low, "high": self._high}
        return [Prediction(self._value, None, answered_by="mean", extra=extra) for _ in range(rows)]

    def save(self, folder: Path) -> None:
        (folder / "mean.json").write_text(json.dumps([self._value, self._low, self._high]), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(*map(float, json.loads((folder / "mean.json").read_text(encoding="utf-8"))))

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return Cost(fit_seconds=0.01, cpu_seconds_per_1k=0.002, memory_mb=45.0, size_mb=0.01)
