"""The kind "text": prose of any length, cleaned and masked before it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.errors import InputError
from rung.core.kind import LENGTH, MAX_CHARS, SCRIPT, Kind, Reader, Scale
from rung.core.scalars import is_null, scalar_text
from rung.core.source_place import SourcePlace
from rung.core.types import Field
from rung.modalities.text.drift_statistics import TextDriftModel
from rung.modalities.text.ngrams import normalize_text


class TextKind(Kind):
    """A string; a missing value is the empty string."""

    name = "text"
    is_text = is_prose = True
    max_bytes = 4 * MAX_CHARS

    def tiny(self) -> list[Any]:
        return ["The parcel never came", "包裹一直没有到", "<b>bold</b>\r\n", "🙂"]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            if type(value) is not str and is_null(value):
                return ""
            if isinstance(value, list | dict | bytes):
                raise InputError(
                    f"'{field.name}' must be text, not {type(value).__name__}", where, "Send a string."
                )
            text = value if type(value) is str else scalar_text(value)
            if len(text) > MAX_CHARS:
                raise InputError(
                    f"'{field.name}' has more than {MAX_CHARS:,} characters", where, "Send a shorter text."
                )
            return text

        return read

    def request_type(self, field: Field) -> Any:
        return str | None

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {"type": "string"} if field.role == "output" else {"type": ["string", "null"]}

    def widget(self, field: Field) -> dict[str, Any]:
        return {"type": "textarea"}

    def parse(self, cell: Any, place: SourcePlace) -> Any:
        if cell is None or isinstance(cell, str):
            return cell
        if isinstance(cell, list | dict):
            raise ValueError(f"bad_input: holds a JSON {type(cell).__name__}, not text")
        return scalar_text(cell)

    def identity(self, value: Any) -> str:
        return normalize_text("" if value is None else str(value))

    def is_empty(self, value: Any) -> bool:
        return value is None or not str(value).strip()

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        return {"length": (LENGTH, values), "script": (SCRIPT, values)}

    def space(self) -> Any:
        return TextDriftModel
