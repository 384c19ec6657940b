"""The Table interface of readers, and conversion of typed cells."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unicodedata import normalize

from rung.core.errors import DataError, did_you_mean
from rung.core.scalars import to_plain
from rung.core.spec.data import CertifySpec, DataSpec
from rung.core.types import Row
from rung.data.prepare.hashing import hash64

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
    header_row: int | None = None

    @classmethod
    def of(cls, spec: DataSpec | CertifySpec, encoding: str | None) -> Reading:
        """Return how a source of the spec is read."""
        return cls(encoding, spec.sheet, spec.query, spec.split, spec.header_row)


class Table(ABC):
    """One readable table: a file, a folder, the answer to a query.

    name: as people know it, in messages and quarantine. encoding: of its characters, "" when the format
    settles that. folder: that relative paths in its cells start from; None for what lies in no folder of the user's.
    notes: what was out of the ordinary when it was read, for the report: lines skipped, quotes taken as text.
    columns_are_all: False when rows may bring columns that the first ones did not have.
    """

    name: str
    columns: tuple[str, ...]
    encoding: str = ""
    columns_are_all: bool = True
    notes: Mapping[str, Any] = {}
    folder: Path | None = None

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Yield every row in order, from the first, at each call."""

    def known_rows(self) -> int:
        """Return how many rows there are where counting them reads none, else 0."""
        return 0

    def portable(self) -> Self | None:
        """Return the table as another process may read it: a file of rows, by its absolute path. None where it is none."""
        return None

    @abstractmethod
    def hashes(self) -> Iterator[tuple[str, str]]:
        """Yield (name, hex SHA-256) of all that is read; equal content gives equal hashes."""

    def require(self, column: str, key: str) -> None:
        """Raise DataError when there is no such column; key: the spec's key that asks for it."""
        if column in self.columns or normalize("NFC", column) in self.columns:
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
    # The same name may be written in two ways in Unicode; specs are normalised alike.
    columns = tuple(normalize("NFC", cell.strip()) or f"column_{i}" for i, cell in enumerate(cells, 1))
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise DataError(
            f"the header holds the column '{twice[0]}' more than once", name, "Rename one of them."
        )
    return columns


class UnreadableCell:
    """Stands for a cell that cannot be read, until `typed_row` takes it out. raw: what stands there, as text."""

    def __init__(self, problem: str, raw: str = "") -> None:
        self.problem = problem
        self.raw = raw


def plain(value: Any) -> Any:
    """Return a cell of a typed table as JSON knows it (`core.scalars.to_plain`); an UnreadableCell where it cannot be kept."""
    if type(value) is str:
        return value if len(value) <= MAX_CELL else UnreadableCell(f"{TOO_LARGE} cell", value[:100])
    try:
        found = to_plain(value)
    except ValueError as error:
        return UnreadableCell(str(error), repr(value)[:1000])
    if type(found) is str and len(found) > MAX_CELL:
        return UnreadableCell(f"{TOO_LARGE} cell", found[:100])
    return found


def row_of(file: str, number: int, columns: Sequence[str], cells: Sequence[Any]) -> Row:
    """Return a row of cells, of which some may be an UnreadableCell: whether that costs the row depends on who reads it."""
    values = dict(zip(columns, cells, strict=True))
    bad = {name: cell for name, cell in values.items() if type(cell) is UnreadableCell}
    if not bad:
        return Row(file, number, values)
    raw = [cell.raw if type(cell) is UnreadableCell else cell for cell in cells]
    content = hash64(json.dumps(raw, ensure_ascii=False, default=str))
    problems = {name: cell.problem for name, cell in bad.items()}
    return Row(file, number, values | dict.fromkeys(bad), "", content, unreadable=problems)
