"""Baseline: nothing is read on any image. Every reader must beat it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from rung.core.model import Cost, DataFacts, FitContext, Model
from rung.core.types import Columns, Examples, Prediction, Schema


class NoText(Model):
    """Use it as a baseline: it is right on images without text."""

    TASKS = frozenset({"document_reading"})

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def fit(cls, examples: Examples, params: Any, context: FitContext) -> Self:
        return cls(_nothing(examples.schema))

    def predict(self, inputs: Columns) -> list[Prediction]:
        (images,) = inputs.values()
        return [Prediction(self._value, 0.0, answered_by="no_text") for _ in images]

    def save(self, folder: Path) -> None:
        (folder / "text.json").write_text('""', encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(_nothing(schema))

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return Cost(fit_seconds=0.01, cpu_seconds_per_1k=0.001, memory_mb=45.0, size_mb=0.01)


def _nothing(schema: Schema) -> str:
    """Return the answer without any text: fields where the product reads fields."""
    return "{}" if schema.outputs[0].kind == "fields" else ""
