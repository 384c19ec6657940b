"""The kind of boxes: what an image is answered with where things in it are found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.errors import InputError
from rung.core.kind import NUMBER, Kind, Reader, Scale
from rung.core.source_place import SourcePlace
from rung.core.types import Field
from rung.modalities.images.boxes import Boxes, boxes_of

_FIX = 'Send a list such as [{"label": "cat", "box": [x, y, width, height]}].'


class BoxesKind(Kind):
    """Labelled rectangles in pixels of the upright image."""

    name = "boxes"

    def tiny(self) -> list[Any]:
        return [
            [],
            [{"label": "cat", "box": [1, 2, 30, 40]}, {"label": "dog", "score": 0.5, "box": [5, 6, 7, 8]}],
        ]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            if value is None:
                return None
            try:
                return boxes_of(value)
            except ValueError as error:
                reason = str(error).partition(": ")[2]
                raise InputError(f"'{field.name}' {reason}", where, _FIX) from None

        return read

    def request_type(self, field: Field) -> Any:
        from typing import Annotated

        from pydantic import WithJsonSchema

        return Annotated[list[Any] | None, WithJsonSchema(self.json_schema(field))]

    def parse(self, cell: Any, place: SourcePlace) -> Any:
        return parse_boxes(cell)

    def to_json(self, value: Any) -> Any:
        return None if value is None else [box.as_dict() for box in boxes_of(value)]

    def from_json(self, raw: Any, media: Any) -> Any:
        return None if raw is None else boxes_of(raw)

    def from_journal(self, raw: Any) -> Any:
        return None if raw is None else boxes_of(raw)

    def identity(self, value: Any) -> str:
        return json.dumps(self.to_json(value), ensure_ascii=False)

    def preview_text(self, value: Any, chars: int = 280) -> str:
        counts = Counter(box.label for box in value or ())
        return super().preview_text(", ".join(f"{n} {label}" for label, n in counts.most_common()), chars)

    def json_schema(self, field: Field) -> dict[str, Any]:
        label: dict[str, Any] = {"type": "string"}
        box = {
            "type": "object",
            "required": ["label", "box"],
            "properties": {
                "label": label,
                "score": {"type": "number", "minimum": 0, "maximum": 1},
                "box": {
                    "type": "array",
                    "description": "x, y, width and height in pixels of the upright image",
                    "items": {"type": "number"},
                    "minItems": 4,
                    "maxItems": 4,
                },
            },
        }
        return {"type": "array", "items": box}

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        return {"boxes": (NUMBER, [None if value is None else len(value) for value in values])}


def parse_boxes(cell: Any) -> Boxes | None:
    """Return the boxes of a cell: a list, or its JSON; None for an empty cell. Raises ValueError, "bad_boxes: reason"."""
    if isinstance(cell, str):
        if not cell.strip():
            return None
        try:
            cell = json.loads(cell)
        except ValueError:
            raise ValueError(f"bad_boxes: holds '{cell[:40]}', which is no list of boxes in JSON") from None
    return None if cell is None else boxes_of(cell)
