"""The kinds of what is read on an image: lines of text with their boxes, and fields with their values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.errors import InputError
from rung.core.kind import LENGTH, NUMBER, Kind, Reader, Scale
from rung.core.types import Field
from rung.modalities.images.read_fields import fields_of, fields_text
from rung.modalities.images.text_lines import lines_of

_FIX_LINES = 'Send a list such as [{"text": "Total 12.50", "box": [x, y, width, height]}].'
_FIX_FIELDS = 'Send an object such as {"name": "Ann Lee", "phone": "555 0100"}.'


class LinesKind(Kind):
    """Lines of text with their rectangles in pixels of the upright image."""

    name = "lines"

    def tiny(self) -> list[Any]:
        return [
            [],
            [
                {"text": "总计 12.50", "box": [1, 2, 30, 40]},
                {"text": "<b>", "score": 0.5, "box": [5, 6, 7, 8]},
            ],
        ]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            if value is None:
                return None
            try:
                return lines_of(value)
            except ValueError as error:
                raise _refusal(field, error, where, _FIX_LINES) from None

        return read

    def request_type(self, field: Field) -> Any:
        from typing import Annotated

        from pydantic import WithJsonSchema

        return Annotated[list[Any] | None, WithJsonSchema(self.json_schema(field))]

    def to_json(self, value: Any) -> Any:
        return None if value is None else [line.as_dict() for line in lines_of(value)]

    def from_json(self, raw: Any, media: Any) -> Any:
        return None if raw is None else lines_of(raw)

    def from_journal(self, raw: Any) -> Any:
        return None if raw is None else lines_of(raw)

    def identity(self, value: Any) -> str:
        return json.dumps(self.to_json(value), ensure_ascii=False)

    def preview_text(self, value: Any, chars: int = 280) -> str:
        return super().preview_text(" / ".join(line.text for line in value or ()), chars)

    def json_schema(self, field: Field) -> dict[str, Any]:
        box = {
            "type": "array",
            "description": "x, y, width and height in pixels of the upright image",
            "items": {"type": "number"},
            "minItems": 4,
            "maxItems": 4,
        }
        score = {"type": "number", "minimum": 0, "maximum": 1}
        line = {
            "type": "object",
            "required": ["text", "box"],
            "properties": {"text": {"type": "string"}, "score": score, "box": box},
        }
        return {"type": "array", "items": line}

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        return {"lines": (NUMBER, [None if value is None else len(value) for value in values])}


class FieldsKind(Kind):
    """Names of fields with the text that stands in each: what a card, a form or a receipt says.

    The value is their canonical text, an object of JSON.
    """

    name = "fields"
    is_text = True

    def tiny(self) -> list[Any]:
        return [{}, {"name": "李雷", "phone": "555 0100"}]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            if value is None:
                return None
            try:
                return fields_text(value)
            except ValueError as error:
                raise _refusal(field, error, where, _FIX_FIELDS) from None

        return read

    def request_type(self, field: Field) -> Any:
        from typing import Annotated

        from pydantic import WithJsonSchema

        return Annotated[dict[str, Any] | None, WithJsonSchema(self.json_schema(field))]

    def preview_text(self, value: Any, chars: int = 280) -> str:
        shown = "; ".join(f"{name}: {text}" for name, text in (fields_of(value) if value else ()))
        return super().preview_text(shown, chars)

    def identity(self, value: Any) -> str:
        return str(value if value is not None else fields_text({}))

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"type": "string"}}

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        found = [None if value is None else fields_of(value) for value in values]
        chars = [None if fields is None else sum(len(text) for _, text in fields) for fields in found]
        return {"fields": (NUMBER, [None if f is None else len(f) for f in found]), "chars": (LENGTH, chars)}


def _refusal(field: Field, error: ValueError, where: str, fix: str) -> InputError:
    return InputError(f"'{field.name}' {str(error).partition(': ')[2]}", where, fix)
