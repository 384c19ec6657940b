"""Base class of tasks on tables: which columns are read, their types, and when two rows are equal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import isfinite
from typing import Any

from rung.core.column_names import are_codes
from rung.core.errors import DataError
from rung.core.scalars import is_missing, to_plain
from rung.core.target_names import called_like_target, is_target_word
from rung.core.task import ColumnProfile, Task
from rung.core.types import Field, Schema
from rung.modalities.tables.parsing_v1 import cell_text, parse_number
from rung.modalities.tables.type_inference import infer_field

MAX_COLUMNS = 5_000


class TableTask(Task):
    """A task whose input is a row of named cells. Column types are inferred from training rows."""

    repeats_are_copies = False

    def default_inputs(self, columns: Sequence[str]) -> tuple[str, ...]:
        return tuple(columns)

    def raw_inputs(self, inputs: Sequence[str]) -> tuple[Field, ...]:
        """Return the fields before types are inferred: every cell is text."""
        return tuple(Field(name, "category", "input") for name in inputs)

    def described(
        self,
        schema: Schema,
        targets: Mapping[Any, int],
        cells: Callable[[], Mapping[str, Mapping[str, int]]],
        costs: Mapping[str, Any],
    ) -> Schema:
        """Return the schema with the kinds of columns, as the cells of training rows show them."""
        return self.with_kinds(schema, cells)

    def with_kinds(self, schema: Schema, cells: Callable[[], Mapping[str, Mapping[str, int]]]) -> Schema:
        """Return the schema with the inferred type of every input column."""
        if len(schema.inputs) > MAX_COLUMNS:
            raise DataError(
                f"{len(schema.inputs):,} columns are too many: at most {MAX_COLUMNS:,} are read",
                "data.input",
                "Name the columns that matter in `data.input`.",
            )
        found = cells()
        fields = tuple(infer_field(f.name, found[f.name]) for f in schema.inputs)
        if all(all(is_missing(text) for text in found[f.name]) for f in fields) and any(found.values()):
            raise DataError(
                "all inputs of all training rows are empty", "data.input", "Choose columns that are filled."
            )
        return replace(schema, inputs=fields)

    def refuse_input(self, inputs: Mapping[str, Any]) -> str:
        if all(is_missing(value) for value in inputs.values()):
            names = ", ".join(list(inputs)[:5]) + (", ..." if len(inputs) > 5 else "")
            return f"nothing in {names}"
        return ""

    def dedup_key(self, inputs: Mapping[str, Any]) -> str:
        """Return the row as canonical text: equal for rows whose numbers and words are equal, however
        written.
        """
        return "\x1f".join(_canonical(value) for value in inputs.values())

    def dedup_key_v1(self, inputs: Mapping[str, Any]) -> str:
        """Return the key of version 0.1, to which long integers are equal that one float stands for."""
        return "\x1f".join(_canonical_v1(value) for value in inputs.values())


def _canonical(value: Any) -> str:
    long = type(value) is str and len(value) >= 16 or type(value) is int
    if long and (text := str(value).strip()).lstrip("-").isdigit() and len(text) >= 16:
        return text
    return _canonical_v1(value)


def _canonical_v1(value: Any) -> str:
    if type(value) is not str:
        return _canonical_cell(value)
    try:
        plain = float(value)
    except ValueError:
        return _cached_canonical(value)
    # A fast path with the same result as `parse_number`, for most cells of most tables: twenty times as fast.
    return repr(plain) if isfinite(plain) and "_" not in value else _cached_canonical(value)


@lru_cache(maxsize=1 << 16)
def _cached_canonical(value: str) -> str:
    return _canonical_cell(value)


def _canonical_cell(value: Any) -> str:
    if is_missing(value):
        return ""
    text = cell_text(to_plain(value))
    found = parse_number(text)
    if found is not None:
        return repr(found)
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold().split())


def target_column(
    columns: Sequence[ColumnProfile], fits: Callable[[ColumnProfile], bool]
) -> tuple[ColumnProfile | None, bool]:
    """Return the column most likely to be the target among those that fit, and whether its name suggests it.

    The column that the user chose comes first, then one with a typical target name, then the last column,
    where targets usually are.
    """
    chosen = next((c for c in columns if c.role == "target"), None)
    if chosen:
        return (chosen if fits(chosen) else None), True
    likely = [c for c in columns if not c.role and fits(c)]
    for column in likely:
        if is_target_word(column.name):
            return column, True
    last = likely[-1] if likely and likely[-1] is columns[-1] else None
    for column in [last] if last else likely:
        if called_like_target(column.name):
            return column, True
    return last, False


def input_columns(columns: Sequence[ColumnProfile], target: ColumnProfile) -> list[ColumnProfile]:
    """Return the input columns: those that the user chose, else all non-empty ones."""
    chosen = [c for c in columns if c.role == "input"]
    return chosen or [c for c in columns if not c.role and c is not target and c.filled]


def is_prose(column: ColumnProfile) -> bool:
    """Return whether a column holds texts that are nearly all distinct."""
    long = column.mean_chars >= 8 and column.distinct > column.filled * 0.5 and column.numeric < 0.5
    return long and not are_codes(column.examples)


def is_row_name(column: ColumnProfile) -> bool:
    """Return whether a column looks like a row number or a row code."""
    whole = all(text.lstrip("-").isdigit() for text in column.examples)
    return column.distinct == column.filled > 1 and (column.numeric < 0.5 or whole)
