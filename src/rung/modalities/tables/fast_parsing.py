"""Parse the cells of a request with the same result as in a training file; fast paths for plain numbers and
words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rung.core.errors import InputError
from rung.core.kind import Reader
from rung.core.types import Field
from rung.modalities.tables.parsing import category_text, is_missing, parse_date, parse_number


def number_reader(field: Field) -> Reader:
    """Return the reader of a column of numbers, with a fast path for plain ones."""

    def read(value: Any, where: str) -> Any:
        if type(value) is not bool:
            try:
                plain = float(value)
                if math.isfinite(plain) and not (type(value) is str and "_" in value):
                    return plain
            except (TypeError, ValueError, OverflowError):
                pass
        return _parse_cell(field, value, where)

    return read


def category_reader(field: Field) -> Reader:
    """Return the reader of a column of categories, with a fast path for strings."""

    def read(value: Any, where: str) -> Any:
        return _cached_category(value) if type(value) is str else _parse_cell(field, value, where)

    return read


def time_reader(field: Field) -> Reader:
    """Return the reader of a column of dates."""

    def read(value: Any, where: str) -> Any:
        return _parse_cell(field, value, where)

    return read


def read_numbers(read: Reader, cells: Any, where: str) -> Sequence[Any]:
    """Return the parsed numbers of a column as an array, NaN where missing: the same as `read` cell by cell."""
    return cast(Sequence[Any], _parse_numbers(read, cells, where))


def read_categories(read: Reader, cells: Any, where: str) -> Sequence[Any]:
    """Return the parsed categories of a column: the same as `read` cell by cell."""
    if isinstance(cells, np.ndarray):
        cells = cells.tolist()
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


def _parse_numbers(read: Reader, cells: Any, where: str) -> npt.NDArray[np.float64]:
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind in "iuf":
            found = cells.astype(np.float64)
            found[np.isinf(found)] = np.nan
            return found
        cells = cells.tolist()
    kinds = set(map(type, cells))
    if kinds == {str}:
        # `float` accepts 1_000, `parse_number` does not.
        if "_" not in "".join(cells):
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


@lru_cache(maxsize=1 << 16)
def _cached_category(text: str) -> str | None:
    return _parse_category(text)


def _parse_category(value: Any) -> str | None:
    """Return a category; None for an empty cell or a missing-value marker, in any width."""
    text = category_text(value)
    return None if is_missing(value) or is_missing(text) else text


def _parse_cell(field: Field, value: Any, where: str) -> Any:
    """Return a cell of a table as in training rows; None when it is missing. Raises InputError."""
    if value is None:
        return None
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
