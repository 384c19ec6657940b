"""Baseline: no value of any field. Every extraction must beat it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from rung.core.field_values import fields_text
from rung.core.model import Cost, DataFacts, FitContext, Model
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.text.ngrams import join_fields


class NoFields(Model):
    """Use it as a baseline: it is right on texts where there is nothing to find."""

    TASKS = frozenset({"text_extraction"})

    @classmethod
    def fit(cls, examples: Examples, params: Any, context: FitContext) -> Self:
        return cls()

    def predict(self, inputs: Columns) -> list[Prediction]:
        return [Prediction(fields_text({}), answered_by="no_fields") for _ in join_fields(inputs)]

    def save(self, folder: Path) -> None:
        (folder / "fields.json").write_text("{}", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls()

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return Cost(fit_seconds=0.01, cpu_seconds_per_1k=0.001, memory_mb=45.0, size_mb=0.01)
