"""A set of labels: what an answer of several labels holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.kind import NUMBER, Kind, Reader, Scale
from rung.core.label_sets import read_set, set_labels, set_text
from rung.core.types import Field


class LabelSetKind(Kind):
    """Any number of labels; the value is their canonical text, see `core.label_sets`."""

    name = "labels"
    is_text = True
    repeats = True

    def tiny(self) -> list[Any]:
        return [["red", "绿"], [], "red"]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            return read_set(value, field.form, field.values)

        return read

    def json_schema(self, field: Field) -> dict[str, Any]:
        item: dict[str, Any] = {"type": "string"}
        if field.values:
            item["enum"] = list(field.values)
        return {"type": "array", "items": item}

    def preview_text(self, value: Any, chars: int = 280) -> str:
        return super().preview_text(", ".join(set_labels(value)) if value else "", chars)

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        return {"labels": (NUMBER, [None if value is None else len(set_labels(value)) for value in values])}

    def from_form(self, text: str) -> Any:
        return text

    def identity(self, value: Any) -> str:
        return str(value if value is not None else set_text(()))
