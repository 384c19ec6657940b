"""Baseline: always predict the most frequent label. Every other model must beat it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.model import Cost, DataFacts, FitContext, Model, NoParams
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.runtime.classification.decision_threshold import DecisionThreshold, bayes_threshold


class Majority(Model):
    """Use it as a baseline: if it clears your bar, the bar measures the wrong thing."""

    TASKS = frozenset({"text_classification", "tabular_classification"})
    Params = NoParams

    def __init__(
        self,
        labels: tuple[str, ...],
        shares: npt.NDArray[np.float64],
        decision: DecisionThreshold | None = None,
    ) -> None:
        self.labels = labels
        self._shares = shares
        self._decision = decision or DecisionThreshold()

    @classmethod
    def fit(cls, examples: Examples, params: Any, context: FitContext) -> Self:
        """Return the shares of the labels with half a row added to each (Jeffreys prior): none is impossible."""
        labels = examples.schema.labels
        number = {label: i for i, label in enumerate(labels)}
        counts = np.bincount([number[t] for t in examples.targets], minlength=len(labels)) + 0.5
        return cls(labels, counts / counts.sum(), bayes_threshold(examples.schema.costs))

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        rows = len(next(iter(inputs.values())))
        return np.tile(self._shares, (rows, 1))

    def predict(self, inputs: Columns) -> list[Prediction]:
        return self._decision.predictions(self.probabilities(inputs), self.labels, "majority")

    def save(self, folder: Path) -> None:
        (folder / "shares.json").write_text(json.dumps(self._shares.tolist()), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        shares = json.loads((folder / "shares.json").read_text(encoding="utf-8"))
        return cls(schema.labels, np.array(shares, dtype=np.float64), bayes_threshold(schema.costs))

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return Cost(fit_seconds=0.01, cpu_seconds_per_1k=0.002, memory_mb=45.0, size_mb=0.01)
