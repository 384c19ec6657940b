"""Read what a request says in the kinds of the schema: the same cells as a training file would give."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rung.core.errors import InputError
from rung.core.types import Field
from rung.modalities.tables.parsing import category_text, is_missing, parse_date, parse_number

MAX_CHARS = 1_000_000
CellParser = Callable[[Any, str], Any]


def cell_parser(field: Field) -> CellParser:
    """Return the function that reads a value for a field, given where it came from, for errors.

    It raises InputError saying what does not fit. Plain numbers and words, nearly all cells of a table, take a
    short way that leads to the same.
    """

    def read(value: Any, where: str) -> Any:
        return _parse_value(field, value, where)

    def read_number(value: Any, where: str) -> Any:
        if type(value) is not bool:
            try:
                plain = float(value)
                if math.isfinite(plain) and not (type(value) is str and "_" in value):
                    return plain
            except (TypeError, ValueError, OverflowError):
                pass
        return _parse_value(field, value, where)

    def read_category(value: Any, where: str) -> Any:
        return _cached_category(value) if type(value) is str else _parse_value(field, value, where)

    return {"number": read_number, "category": read_category}.get(field.kind, read)


def parse_column(field: Field, read: CellParser, cells: Any, where: str) -> Sequence[Any]:
    """Return many cells of a field as `read` would one by one, many times as fast for plain ones.

    cells: a list, or an array as data frames hold them. Numbers come as an array, NaN where one is missing. Raises
    InputError as `read` does.
    """
    if field.kind == "number":
        return cast(Sequence[Any], _parse_numbers(read, cells, where))
    if isinstance(cells, np.ndarray):
        cells = cells.tolist()
    if field.kind == "category":
        with suppress(TypeError):
            return list(map(_CachedParser(read, where).__getitem__, cells))
    return [read(cell, where) for cell in cells]


class _CachedParser(dict[str | None, Any]):
    """What each word that came was read as; TypeError for anything else, since 1 would be found as True."""

    def __init__(self, read: CellParser, where: str) -> None:
        super().__init__()
        self._read, self._where = read, where

    def __missing__(self, cell: Any) -> Any:
        if cell is not None and type(cell) is not str:
            raise TypeError(type(cell))
        found = self[cell] = self._read(cell, self._where)
        return found


def _parse_numbers(read: CellParser, cells: Any, where: str) -> npt.NDArray[np.float64]:
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind in "iuf":
            found = cells.astype(np.float64)
            found[np.isinf(found)] = np.nan
            return found
        cells = cells.tolist()
    kinds = set(map(type, cells))
    if kinds == {str}:
        # Python reads 1_000 as a number, `number` does not.
        if "_" not in "".join(cells):
            with suppress(ValueError):
                found = np.fromiter(map(float, [cell or "nan" for cell in cells]), np.float64, len(cells))
                for place in np.flatnonzero(~np.isfinite(found)).tolist():
                    found[place] = _or_nan(read(cells[place], where))
                return found
        # Words among numbers are few, and the same again and again.
        known = {cell: _or_nan(read(cell, where)) for cell in set(cells)}
        return np.fromiter(map(known.__getitem__, cells), np.float64, len(cells))
    if kinds <= {float, int}:
        with suppress(OverflowError):
            found = np.fromiter(map(float, cells), np.float64, len(cells))
            found[np.isinf(found)] = np.nan
            return found
    return np.fromiter((_or_nan(read(cell, where)) for cell in cells), np.float64, len(cells))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


@lru_cache(maxsize=1 << 16)
def _cached_category(text: str) -> str | None:
    return _parse_category(text)


def _parse_category(value: Any) -> str | None:
    """Return a category; None when nothing, or a word for nothing, stands there, in whatever width."""
    text = category_text(value)
    return None if is_missing(value) or is_missing(text) else text


def _parse_value(field: Field, value: Any, where: str) -> Any:
    if value is None:
        return "" if field.kind == "text" else None
    if field.kind == "text":
        if isinstance(value, list | dict | bytes):
            raise InputError(
                f"'{field.name}' must be text, not {type(value).__name__}", where, "Send a string."
            )
        text = str(value)
        if len(text) > MAX_CHARS:
            raise InputError(
                f"'{field.name}' has more than {MAX_CHARS:,} characters", where, "Send less of it."
            )
        return text
    if field.kind == "list" and not isinstance(value, list):
        raise InputError(
            f"'{field.name}' must be a list, not {type(value).__name__}", where, "Send a JSON list."
        )
    if field.kind in {"number", "category", "time"}:
        return _parse_cell(field, value, where)
    return value


def _parse_cell(field: Field, value: Any, where: str) -> Any:
    """Return a cell of a table as training rows have it; None when it holds nothing."""
    if isinstance(value, list | dict | bytes):
        raise InputError(
            f"'{field.name}' must be a {field.kind}, not {type(value).__name__}", where, "Send one value."
        )
    if is_missing(value, field.kind):
        return None
    if field.kind == "category":
        return _parse_category(value)
    found: Any = parse_date(value, field.form) if field.kind == "time" else parse_number(value, field.form)
    if found is None and category_text(value) not in field.values:
        what, fix = ("date", "2024-12-31") if field.kind == "time" else ("number", "1200.5")
        raise InputError(
            f"'{field.name}' must be a {what}, not {str(value)[:60]!r}",
            where,
            f"Send a {what} such as {fix}, or null when it is not known.",
        )
    return found
