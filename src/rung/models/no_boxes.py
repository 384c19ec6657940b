"""Baseline: no boxes on any image. Every detector must beat it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from rung.core.model import Cost, DataFacts, FitContext, Model
from rung.core.types import Columns, Examples, Prediction, Schema


class NoBoxes(Model):
    """Use it as a baseline: it is right on images where there is nothing to find."""

    TASKS = frozenset({"object_detection"})

    @classmethod
    def fit(cls, examples: Examples, params: Any, context: FitContext) -> Self:
        return cls()

    def predict(self, inputs: Columns) -> list[Prediction]:
        (images,) = inputs.values()
        return [Prediction((), answered_by="no_boxes") for _ in images]

    def save(self, folder: Path) -> None:
        (folder / "boxes.json").write_text("[]", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls()

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return Cost(fit_seconds=0.01, cpu_seconds_per_1k=0.001, memory_mb=45.0, size_mb=0.01)
