"""Read Parquet files in small batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, Self

from rung.core.errors import DataError, MissingExtra
from rung.core.files import sha256
from rung.core.types import Row
from rung.data.sources.files import File
from rung.data.sources.rows import Reading, Table, UnreadableCell, header, plain, row_of

SUFFIXES = (".parquet", ".pq")
_BATCH = 1000


class ParquetTable(Table):
    """A Parquet file. Whole numbers that a Hugging Face data set names (ClassLabel) come as their names."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.name = file.name
        with self._opened() as parquet:
            self.columns = header(parquet.schema_arrow.names, self.name)
            self._labels = _label_names(parquet.schema_arrow.metadata)
            if not parquet.metadata.num_rows:
                raise DataError("there are columns but no row", self.name, "It needs rows.")

    def rows(self) -> Iterator[Row]:
        number = 0
        with self._opened() as parquet:
            for batch in parquet.iter_batches(_BATCH):
                cells = [_cells(column, self._labels.get(name)) for name, column in self._named(batch)]
                for values in zip(*cells, strict=True):
                    number += 1
                    yield row_of(self.name, number, self.columns, values)

    def portable(self) -> Self | None:
        other = copy(self)
        other.file = self.file.absolute()
        return other

    def hashes(self) -> Iterator[tuple[str, str]]:
        yield self.name, sha256(self.file.path)

    def _named(self, batch: Any) -> Iterator[tuple[str, Any]]:
        return zip(self.columns, batch.columns, strict=True)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise MissingExtra("reading Parquet files", "build", "pyarrow") from None
        try:
            with pq.ParquetFile(self.file.path) as parquet:
                yield parquet
        except (pa.ArrowException, EOFError) as error:
            raise self._damaged(error) from None
        except OSError as error:
            if error.errno:
                raise
            raise self._damaged(error) from None

    def _damaged(self, error: BaseException) -> DataError:
        reason = (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")
        fix = "Write it again, or fetch it again: part of it may be missing."
        return DataError(f"this is no Parquet file, or a damaged one: {reason[:200]}", self.name, fix)


def open_table(file: File, reading: Reading) -> Table:
    """Return the table of a Parquet file."""
    if file.packing:
        raise DataError(
            "Parquet is packed by itself", file.name, f"Unpack the {file.packing}, name what it holds."
        )
    return ParquetTable(file)


def _cells(column: Any, labels: list[str] | None) -> list[Any]:
    """Return a column's values; one that cannot be read as an UnreadableCell."""
    column = _microseconds(column)
    try:
        values = list(map(plain, column.to_pylist()))
    except (ValueError, OverflowError):  # UnicodeDecodeError and Arrow's own are ValueErrors.
        values = [_cell(scalar) for scalar in column]
    return [_label(value, labels) for value in values] if labels else values


def _cell(scalar: Any) -> Any:
    try:
        return plain(scalar.as_py())
    except UnicodeDecodeError:
        problem = "undecodable: bytes that are not UTF-8 text"
    except (ValueError, OverflowError):
        problem = f"unreadable: a {scalar.type} beyond what can be read"
    raw = scalar.as_buffer().to_pybytes().hex() if hasattr(scalar, "as_buffer") else str(scalar.type)
    return UnreadableCell(problem, raw)


def _microseconds(column: Any) -> Any:
    """Return times in microseconds: Python knows nothing finer."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column


def _label_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """Return column -> names of its numbers, as Hugging Face data sets write them beside the table."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        found = {name: feature["names"] for name, feature in features.items() if "names" in feature}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
    return {
        name: [str(label) for label in labels] for name, labels in found.items() if isinstance(labels, list)
    }


def _label(value: Any, labels: list[str]) -> Any:
    """Return the name of a label's number; -1, which means none there, as None."""
    if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value < len(labels):
        return value
    return labels[value] if value >= 0 else None
