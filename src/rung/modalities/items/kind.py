"""Lists and JSON of any shape: what a user did, what a form held."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.errors import InputError
from rung.core.kind import NUMBER, Kind, Reader, Scale
from rung.core.source_place import SourcePlace
from rung.core.types import Field


def _plain(value: Any) -> Any:
    """Return a value that is JSON for every reader; the parser also takes NaN, infinity and endless integers."""
    json.dumps(value, allow_nan=False)
    return value


class JsonKind(Kind):
    """Any JSON value."""

    name = "json"

    def tiny(self) -> list[Any]:
        return [{"a": [1, 2]}, "text", 3, None]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            return value

        return read

    def request_type(self, field: Field) -> Any:
        from typing import Annotated

        from pydantic import AfterValidator

        return Annotated[Any, AfterValidator(_plain)]

    def parse(self, cell: Any, place: SourcePlace) -> Any:
        if isinstance(cell, str) and cell[:1] in "[{":
            try:
                return json.loads(cell)
            except ValueError:
                return cell
        return cell


class ListKind(JsonKind):
    """A list of values, in order."""

    name = "list"

    def tiny(self) -> list[Any]:
        return [["a", "b"], [], [1, {"c": 2}]]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            if value is not None and not isinstance(value, list):
                raise InputError(
                    f"'{field.name}' must be a list, not {type(value).__name__}", where, "Send a JSON list."
                )
            return value

        return read

    def request_type(self, field: Field) -> Any:
        from typing import Annotated

        from pydantic import AfterValidator

        return Annotated[list[Any], AfterValidator(_plain)]

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {"type": "array", "items": {}}

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        return {"items": (NUMBER, [len(value) if isinstance(value, list) else None for value in values])}
