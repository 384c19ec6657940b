"""Parse the cells of a request with the same result as in a training file; fast paths for plain numbers and
words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rung.core.errors import InputError
from rung.core.kind import Reader
from rung.core.scalars import plain_list
from rung.core.types import Field
from rung.modalities.tables.cells import category_of, number_of, time_of


def number_reader(field: Field) -> Reader:
    """Return the reader of a column of numbers, with a fast path for plain ones."""
    has_comma = "." in _not_plain(field)

    def read(value: Any, where: str) -> Any:
        if type(value) is not bool:
            try:
                plain = float(value)
                text = type(value) is str
                if math.isfinite(plain) and not (text and ("_" in value or (has_comma and "." in value))):
                    return plain
            except (TypeError, ValueError, OverflowError):
                pass
        return _parse_cell(field, value, where, number_of)

    return read


def category_reader(field: Field) -> Reader:
    """Return the reader of a column of categories, with a fast path for strings."""

    def read(value: Any, where: str) -> Any:
        return (
            category_of(field, value) if type(value) is str else _parse_cell(field, value, where, category_of)
        )

    return read


def time_reader(field: Field) -> Reader:
    """Return the reader of a column of dates."""

    def read(value: Any, where: str) -> Any:
        return _parse_cell(field, value, where, time_of)

    return read


def read_numbers(field: Field, read: Reader, cells: Any, where: str) -> Sequence[Any]:
    """Return the parsed numbers of a column as an array, NaN where missing: the same as `read` cell by cell."""
    return cast(Sequence[Any], _parse_numbers(_not_plain(field), read, cells, where))


def read_categories(read: Reader, cells: Any, where: str) -> Sequence[Any]:
    """Return the parsed categories of a column: the same as `read` cell by cell."""
    cells = plain_list(cells)
    with suppress(TypeError):
        return list(map(_CachedParser(read, where).__getitem__, cells))
    return [read(cell, where) for cell in cells]


class _CachedParser(dict[str | None, Any]):
    """Parsed value of each string seen; TypeError for other types, since 1 would be found under True."""

    def __init__(self, read: Reader, where: str) -> None:
        super().__init__()
        self._read, self._where = read, where

    def __missing__(self, cell: Any) -> Any:
        if cell is not None and type(cell) is not str:
            raise TypeError(type(cell))
        found = self[cell] = self._read(cell, self._where)
        return found


def _not_plain(field: Field) -> str:
    """Return the marks of texts that `float` may read otherwise than `number_of`: 1_000, and 2.500 beside 1,5."""
    return "_." if field.format is not None and field.format.decimal == "," else "_"


def _parse_numbers(marks: str, read: Reader, cells: Any, where: str) -> npt.NDArray[np.float64]:
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iuf":
        found = cells.astype(np.float64)
        found[np.isinf(found)] = np.nan
        return found
    cells = plain_list(cells)
    kinds = set(map(type, cells))
    if kinds == {str}:
        joined = "".join(cells)
        if not any(mark in joined for mark in marks):
            with suppress(ValueError):
                found = np.fromiter(map(float, [cell or "nan" for cell in cells]), np.float64, len(cells))
                for place in np.flatnonzero(~np.isfinite(found)).tolist():
                    found[place] = _or_nan(read(cells[place], where))
                return found
        # Strings among numbers are few and repeat.
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


def _parse_cell(field: Field, value: Any, where: str, parse: Callable[[Field, Any], Any]) -> Any:
    """Return a cell of a table as in training rows; None when it is missing. Raises InputError."""
    if value is None:
        return None
    if isinstance(value, list | dict | bytes):
        raise InputError(
            f"'{field.name}' must be a {field.kind}, not {type(value).__name__}", where, "Send one value."
        )
    try:
        return parse(field, value)
    except ValueError:
        what, fix = ("date", "2024-12-31") if field.kind == "time" else ("number", "1200.5")
        raise InputError(
            f"'{field.name}' must be a {what}, not {str(value)[:60]!r}",
            where,
            f"Send a {what} such as {fix}, or null when it is not known.",
        ) from None
