"""Rows of a table with any number of labels each: faults of a machine, products a customer holds, genres of a film."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rung.core.label_sets import set_text
from rung.core.task import ColumnProfile, Guess
from rung.core.types import Schema
from rung.modalities.tables.task import TableTask, input_columns, is_prose, is_row_name
from rung.runtime.classification.set_task import LabelSetTask, set_reason, set_target


class TabularMultilabel(TableTask, LabelSetTask):
    """The cells of a row go in, any number of known labels comes out, with a probability for each."""

    name = "tabular_multilabel"
    title = "Tabular classification: any number of labels for each row of a table"
    one_label = "tabular_classification"

    def schema(self, inputs: Sequence[str], targets: Sequence[Any]) -> Schema:
        return Schema(self.raw_inputs(inputs), (self.label_field(targets),))

    def guess(self, columns: Sequence[ColumnProfile], rows: int) -> Guess | None:
        target = set_target(columns)
        if target is None:
            return None
        inputs = input_columns(columns, target)
        if not inputs or all(is_prose(c) or is_row_name(c) for c in inputs):
            return None
        sure = 0.5 if any(is_prose(c) for c in inputs) else 0.9
        reasons = (
            f"{len(inputs)} columns of a table, such as '{inputs[0].name}': all but the target",
            set_reason(target),
        )
        return Guess(self.name, sure, tuple(c.name for c in inputs), target.name, reasons)

    def tiny(self) -> list[dict[str, Any]]:
        """Return made-up machines: how hot, how loud, how old, where; which faults they have."""
        rows = []
        for i in range(48):
            hot, loud = (i * 5) % 12 < 5, (i * 7) % 10 < 4
            rows.append(
                {
                    "temperature": 60.0 + (i * 3) % 11 + (35.0 if hot else 0.0),
                    "noise": None if i % 11 == 6 else 40.0 + i % 7 + (25.0 if loud else 0.0),
                    "age": float(1 + i % 9),
                    "hall": ("north", "南厂房", "south", None)[i % 4],
                    "target": set_text([*["cooling"] * hot, *["bearing"] * loud]),
                }
            )
        return rows
