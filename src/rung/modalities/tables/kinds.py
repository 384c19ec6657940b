"""The cells of tables: numbers, categories and dates, read as people write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rung.core.blobs import MediaResolver
from rung.core.kind import CATEGORY, NUMBER, Kind, Reader, Scale
from rung.core.scalars import cell_text, is_missing, plain_list
from rung.core.source_place import SourcePlace
from rung.core.types import Field
from rung.modalities.tables.cells import category_of, number_of, time_of
from rung.modalities.tables.fast_parsing import (
    category_reader,
    number_reader,
    read_categories,
    read_numbers,
    time_reader,
)
from rung.modalities.tables.parsing_v1 import category_text


class _CellKind(Kind):
    """A cell that may be missing and may come as people write it."""

    form_type: ClassVar[str] = "text"

    def request_type(self, field: Field) -> Any:
        from typing import Annotated

        from pydantic import Field as Checked

        return str | bool | int | Annotated[float, Checked(allow_inf_nan=False)] | None

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {"type": ["string", "number", "boolean", "null"]}

    def widget(self, field: Field) -> dict[str, Any]:
        return {"type": self.form_type, "unit": field.form} if field.form else {"type": self.form_type}

    def parse(self, cell: Any, place: SourcePlace) -> Any:
        if cell is None or isinstance(cell, str):
            return cell
        if isinstance(cell, list | dict):
            raise ValueError(f"bad_input: holds a JSON {type(cell).__name__}, not text")
        return cell_text(cell)

    def from_cell(self, cell: str, media: MediaResolver) -> Any:
        return super().from_cell(cell, media) if cell else None

    def identity(self, value: Any) -> str:
        return category_text(value)

    def is_empty(self, value: Any) -> bool:
        return is_missing(value, self.name)


class NumberKind(_CellKind):
    """A finite number, or nothing."""

    name = "number"
    is_number = True
    form_type = "number"

    def tiny(self) -> list[Any]:
        return [0, 1.5, "1,200", -3, None]

    def reader(self, field: Field) -> Reader:
        return number_reader(field)

    def read_column(self, field: Field, read: Reader, cells: Any, where: str) -> Sequence[Any]:
        return read_numbers(field, read, cells, where)

    def preview_text(self, value: Any, chars: int = 280) -> str:
        whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
        return super().preview_text(int(value) if whole else value, chars)

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {"type": "number"} if field.role == "output" else super().json_schema(field)

    def cast(self, field: Field, text: str) -> Any:
        return number_of(field, text)

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        return {"value": (NUMBER, values)}


class CategoryKind(_CellKind):
    """One of several words."""

    name = "category"
    is_text = True
    repeats = True

    def tiny(self) -> list[Any]:
        return ["red", "绿", 3, True, None]

    def reader(self, field: Field) -> Reader:
        return category_reader(field)

    def read_column(self, field: Field, read: Reader, cells: Any, where: str) -> Sequence[Any]:
        return read_categories(read, cells, where)

    def json_schema(self, field: Field) -> dict[str, Any]:
        if field.role == "output":
            return {"type": "string", "enum": list(field.values)} if field.values else {"type": "string"}
        return super().json_schema(field)

    def widget(self, field: Field) -> dict[str, Any]:
        return {"type": "select", "options": list(field.values)} if field.values else super().widget(field)

    def cast(self, field: Field, text: str) -> Any:
        return category_of(field, text)

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        return {"value": (CATEGORY, values)}


class TimeKind(_CellKind):
    """A date or a time, in ISO 8601 once it is read."""

    name = "time"
    is_text = True
    repeats = True
    form_type = "date"

    def tiny(self) -> list[Any]:
        return ["2024-12-31", "2024-12-31 08:30", None]

    def reader(self, field: Field) -> Reader:
        return time_reader(field)

    def read_column(self, field: Field, read: Reader, cells: Any, where: str) -> Sequence[Any]:
        return [read(cell, where) for cell in plain_list(cells)]

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {"type": ["string", "number", "null"]}

    def cast(self, field: Field, text: str) -> Any:
        return time_of(field, text)
