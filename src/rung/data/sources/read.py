"""Open the tables of a source as one, and read them row by row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.core.blobs import BlobStore
from rung.core.errors import DataError
from rung.core.source_place import SourcePlace
from rung.core.spec.source_names import short_name
from rung.core.types import Row
from rung.data.sources.locate import open_tables
from rung.data.sources.rows import Reading, Table


@dataclass(frozen=True)
class Source:
    """One or more tables of the same columns, read one after the other."""

    name: str
    tables: tuple[Table, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of all tables, in the order of their appearance."""
        return tuple(dict.fromkeys(name for table in self.tables for name in table.columns))

    def require(self, column: str, key: str) -> None:
        """Raise DataError when a table has no such column; key: the spec's key that asks for it."""
        for table in self.tables:
            table.require(column, key)

    def place(self, store: BlobStore, base: Path) -> SourcePlace:
        """Return where the files lie that its cells may name: beside its own, or below the product's folder."""
        return SourcePlace(store, *(table.folder for table in self.tables if table.folder is not None), base)

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Yield (name, hash) of all that is read."""
        for table in self.tables:
            yield from table.hashes()


def open_source(
    path: Path | str | Sequence[str], reading: Reading | None = None, base: Path | None = None
) -> Source:
    """Return how to read a file, folder, pattern, address, query, data set, or several of them.

    base: where relative paths start; by default the current folder. Raises DataError when something is missing,
    empty, of an unknown kind, has no rows, or has other columns than the rest.
    """
    paths = [str(path)] if isinstance(path, str | Path) else list(path)
    try:
        tables = tuple(open_tables(paths, reading or Reading(), base or Path()))
    except OSError as error:
        raise _unreadable(str(error.filename or short_name(paths)), error) from None
    name = tables[0].name if len(tables) == 1 else short_name([table.name for table in tables])
    _require_same_columns(tables)
    return Source(name, tables)


def read_rows(source: Source, needed: Collection[str] | None = None) -> Iterator[Row]:
    """Yield every row in order; one that cannot be read has a problem instead of values.

    needed: the columns whose cells must be readable for the row to be used; None: all. Elsewhere an unreadable cell is
    None. Raises DataError when the source as a whole cannot be read on.
    """
    has_several = len({table.folder for table in source.tables}) > 1
    for table in source.tables:
        try:
            for row in table.rows():
                if has_several:
                    row = row._replace(folder=table.folder)
                yield row if row.unreadable is None else _if_readable(row, needed)
        except OSError as error:
            raise _unreadable(str(error.filename or table.name), error) from None


def _if_readable(row: Row, needed: Collection[str] | None) -> Row:
    """Return a row with unreadable cells as it is where none of them is needed, else with their problem."""
    for name, problem in (row.unreadable or {}).items():
        if needed is None or name in needed:
            return Row(row.file, row.number, None, problem, row.hash)
    return row


def _require_same_columns(tables: Sequence[Table]) -> None:
    whole = [table for table in tables if table.columns_are_all]
    for table in whole[1:]:
        first = whole[0]
        missing = [name for name in first.columns if name not in table.columns]
        more = [name for name in table.columns if name not in first.columns]
        if missing or more:
            parts = [f"it has no '{name}'" for name in missing[:3]] + [
                f"it has '{name}'" for name in more[:3]
            ]
            raise DataError(
                f"its columns are not those of {first.name}: {', '.join(parts)}",
                table.name,
                "All files of a source need the same columns, in any order.",
            )


def _unreadable(where: str, error: OSError) -> DataError:
    reason = (error.strerror or str(error)).lower()
    return DataError(f"it cannot be read: {reason}", where, "Check the path and its permissions.")
