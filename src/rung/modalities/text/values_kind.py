"""The kind of extracted fields: what an answer of names, amounts and dates holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.errors import InputError
from rung.core.field_values import field_values, read_fields
from rung.core.kind import NUMBER, Kind, Reader, Scale
from rung.core.types import Field

_FIX = 'Send an object such as {"sender": ["Ann Lee"], "amount": ["$30"]}.'


class FieldValuesKind(Kind):
    """Field -> list of values; the value is their canonical text, see `core.field_values`."""

    name = "values"
    is_text = True

    def tiny(self) -> list[Any]:
        return [{"sender": ["Ann Lee"], "金额": ["30 元", "5 元"]}, {}, {"amount": "12"}]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            try:
                return read_fields(value)
            except ValueError as error:
                reason = str(error).partition(": ")[2]
                raise InputError(f"'{field.name}': {reason}", where, _FIX) from None

        return read

    def json_schema(self, field: Field) -> dict[str, Any]:
        values = {"type": "array", "items": {"type": "string"}}
        return {"type": "object", "additionalProperties": values}

    def preview_text(self, value: Any, chars: int = 280) -> str:
        pairs = field_values(str(value)).items() if value else ()
        return super().preview_text("; ".join(f"{name}: {', '.join(found)}" for name, found in pairs), chars)

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        counts = [None if v is None else sum(map(len, field_values(str(v)).values())) for v in values]
        return {"values": (NUMBER, counts)}

    def from_form(self, text: str) -> Any:
        return text

    def identity(self, value: Any) -> str:
        return str(value if value is not None else json.dumps({}))
