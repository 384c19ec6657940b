"""The Table interface of readers, and conversion of typed cells."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from rung.core.errors import DataError, did_you_mean
from rung.core.types import Row

# A cell beyond this is quarantined: somebody pasted a log file into it.
MAX_CELL = 1_000_000
MAX_COLUMNS = 20_000
TOO_LARGE = f"cell_too_large: more than {MAX_CELL:,} characters in one"


@dataclass(frozen=True)
class Reading:
    """What a spec says about how a source is read; None: found out."""

    encoding: str | None = None
    sheet: str | int | None = None
    query: str | None = None
    split: str | None = None


class Table(ABC):
    """One readable table: a file, a folder, the answer to a query.

    name: as people know it, in messages and quarantine. encoding: of its characters, "" when the format
    settles that. folder: that relative paths in its cells start from; None for what lies in no folder of the user's.
    columns_are_all: False when rows may bring columns that the first ones did not have.
    """

    name: str
    columns: tuple[str, ...]
    encoding: str = ""
    columns_are_all: bool = True
    folder: Path | None = None

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Yield every row in order, from the first, at each call."""

    @abstractmethod
    def hashes(self) -> Iterator[tuple[str, str]]:
        """Yield (name, hex SHA-256) of all that is read; equal content gives equal hashes."""

    def require(self, column: str, key: str) -> None:
        """Raise DataError when there is no such column; key: the spec's key that asks for it."""
        if column in self.columns:
            return
        if not self.columns_are_all and any(column in (row.values or ()) for row in self.rows()):
            return
        shown = [name if len(name) <= 60 else name[:57] + "..." for name in self.columns]
        raise DataError(f"there is no column '{column}' ({key})", self.name, did_you_mean(column, shown))


def header(cells: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the columns that a header names; raises DataError for too many, or one that stands twice."""
    if len(cells) > MAX_COLUMNS:
        raise DataError(
            f"the header has {len(cells):,} columns; at most {MAX_COLUMNS:,} are read",
            name,
            "Is this the table? Keep the columns that matter.",
        )
    columns = tuple(cell.strip() or f"column_{i}" for i, cell in enumerate(cells, 1))
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise DataError(
            f"the header holds the column '{twice[0]}' more than once", name, "Rename one of them."
        )
    return columns


def plain(value: Any) -> Any:
    """Return a cell of a typed table as JSON knows it: dates in ISO 8601, exact numbers as text, NaN as None.

    Raises ValueError, "reason: detail", when it cannot be kept.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if len(value) > MAX_CELL:
            raise ValueError(f"{TOO_LARGE} cell")
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _text(bytes(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    raise ValueError(f"unreadable: a cell of the kind '{type(value).__name__}'")


def _text(data: bytes) -> str:
    try:
        return str(plain(data.decode()))
    except UnicodeDecodeError:
        raise ValueError("undecodable: bytes that are not UTF-8 text") from None
