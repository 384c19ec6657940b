"""Write and read example tables as Parquet, in pieces."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.blobs import BlobStore
from rung.core.errors import MissingExtra
from rung.core.kind import Kind, kind
from rung.core.types import Dataset, Examples
from rung.data.prepare.row_places import where_of

# What a part of a staged table is called in its folder.
PART = "staged.parquet"
# Rows are handed to Parquet when this many, or this many characters, are held.
_ROWS, _CHARS = 20_000, 1 << 24


class TableWriter:
    """Writes a table in row groups of limited size; one on its side can be read back a group at a time."""

    def __init__(self, path: Path, columns: Sequence[str], numbers: Collection[str] = ()) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise MissingExtra("reading training data", "build", "pyarrow") from None
        self._pa = pa
        special = {"row": pa.int64(), "time": pa.float64(), "start": pa.float64(), "copies": pa.int64()}
        special |= dict.fromkeys(numbers, pa.float64())
        self._schema = pa.schema([(name, special.get(name, pa.string())) for name in columns])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._held: list[Sequence[Any]] = []
        self._chars = 0
        self._waiting: list[Any] = []
        self._rows_waiting, self._chars_waiting = 0, 0

    def add(self, values: Sequence[Any]) -> None:
        """Add one row: a value for each column, in their order."""
        self._held.append(values)
        self._chars += sum(len(value) for value in values if isinstance(value, str))
        if self._chars > _CHARS or len(self._held) >= _ROWS:
            self._flush_held()

    def add_columns(self, columns: Mapping[str, Any]) -> None:
        """Add many rows at once: a list or Arrow array for each column.

        Where a row group ends depends on the rows alone, not on how many came at once.
        """
        self._flush_held()
        rows = self._pa.table(dict(columns), schema=self._schema)
        chars = np.cumsum(self._chars_of(rows))
        begin = 0
        while begin < len(rows):
            room = _CHARS - self._chars_waiting + (int(chars[begin - 1]) if begin else 0)
            end = min(int(np.searchsorted(chars, room, "right")) + 1, begin + _ROWS - self._rows_waiting)
            taken = rows.slice(begin, end - begin)
            self._waiting.append(taken)
            self._rows_waiting += len(taken)
            if end > len(rows):
                self._chars_waiting += int(chars[-1]) - (int(chars[begin - 1]) if begin else 0)
            else:
                self._flush_waiting()
            begin = end

    def _chars_of(self, rows: Any) -> npt.NDArray[np.int64]:
        """Return the bytes of text in each row."""
        import pyarrow.compute as pc

        found = np.zeros(len(rows), np.int64)
        for name, known in zip(self._schema.names, self._schema.types, strict=True):
            if self._pa.types.is_string(known):
                found += pc.fill_null(pc.binary_length(rows[name]), 0).to_numpy()
        return found

    def _flush_waiting(self) -> None:
        if self._waiting:
            self._writer.write_table(self._pa.concat_tables(self._waiting).combine_chunks())
        self._waiting, self._rows_waiting, self._chars_waiting = [], 0, 0

    def _flush_held(self) -> None:
        if self._held:
            self._flush_waiting()
            columns = [list(column) for column in zip(*self._held, strict=True)]
            self._writer.write_table(self._pa.table(columns, schema=self._schema))
        self._held = []
        self._chars = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush_held()
            self._flush_waiting()
        self._writer.close()


def row_groups(path: Path, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """Yield a table, or some columns of it, piece by piece, each an Arrow table small enough for memory.

    path: a file, or a folder whose sub-folders hold parts of the table, `staged.parquet` each.
    """
    import pyarrow.parquet as pq

    if path.is_dir():
        for part in sorted(path.glob(f"*/{PART}")):
            yield from row_groups(part, columns)
        return
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=columns)


def read_examples(dataset: Dataset, table: str) -> Examples:
    """Return the rows of a table; an empty set when the dataset has none of that name."""
    import pyarrow.parquet as pq

    schema = dataset.schema
    path = dataset.path(table)
    if path is None:
        return Examples(schema, {name: [] for name in schema.input_names}, [], [], [], [])
    return _examples(dataset, pq.read_table(path))


def read_sample(dataset: Dataset, table: str, most: int) -> Examples:
    """Return at most so many rows of a table, evenly spread; the rest never stands in memory all at once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = dataset.path(table)
    if path is None:
        return read_examples(dataset, table)
    total = pq.read_metadata(path).num_rows
    if total <= most:
        return read_examples(dataset, table)
    places = np.unique(np.linspace(0, total - 1, most).astype(np.int64))
    begin, pieces = 0, []
    for group in row_groups(path):
        ours = places[(places >= begin) & (places < begin + len(group))]
        if len(ours):
            pieces.append(group.take(ours - begin))
        begin += len(group)
    return _examples(dataset, pa.concat_tables(pieces))


def read_places(dataset: Dataset, table: str) -> set[tuple[str, int]]:
    """Return (file, row) of every row of a table; nothing else of it is read."""
    import pyarrow.parquet as pq

    path = dataset.path(table)
    if path is None:
        return set()
    files, rows = where_of(dataset.folder, pq.read_table(path, columns=["file", "row"]))
    return set(zip(map(sys.intern, files), rows, strict=True))


def read_hashes(dataset: Dataset, table: str) -> list[str]:
    """Return the hash of each row's folded text as it came into the table: what corrections are told by."""
    import pyarrow.parquet as pq

    path = dataset.path(table)
    return [] if path is None else list(pq.read_table(path, columns=["text"])["text"].to_pylist())


def _examples(dataset: Dataset, columns: Any) -> Examples:
    schema = dataset.schema
    target = schema.outputs[0]
    store = BlobStore.open(dataset.folder)
    inputs = {f.name: _cells(kind(f.kind), columns[f"input:{f.name}"], store) for f in schema.inputs}
    targets = _cells(kind(target.kind), columns["target"], store)
    # One string a file, not one a row.
    named, rows = where_of(dataset.folder, columns)
    files = [sys.intern(name) for name in named]
    units, times, copies = (columns[name].to_pylist() for name in ("unit", "time", "copies"))
    starts = columns["start"].to_pylist() if "start" in columns.column_names else ()
    return Examples(schema, inputs, targets, units, rows, times, files, copies, starts)


def _cells(known: Kind, column: Any, store: BlobStore) -> Any:
    """Return a column as models get it: an array of numbers with NaN where one is missing, else a list.

    Cells of categories and labels are the same objects wherever they are equal: millions of rows take no more.
    """
    import pyarrow.types as arrow

    if arrow.is_floating(column.type):
        return column.to_numpy()
    if known.repeats and len(column):
        encoded = column.combine_chunks().dictionary_encode()
        distinct = [*encoded.dictionary.to_pylist(), None]
        return [distinct[code] for code in encoded.indices.fill_null(len(distinct) - 1).to_pylist()]
    if known.is_text:
        return column.to_pylist()
    return [known.from_cell(cell, store) for cell in column.to_pylist()]
