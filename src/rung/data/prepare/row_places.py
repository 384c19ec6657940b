"""Where rows stand in their source: tables number rows through all files, so that they do not depend on how the files were cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.files import read_json, write_json

NAME = "places.json"


@dataclass(frozen=True)
class RowPlaces:
    """The files of a source in order, and the rows that each has, whether they can be used or not."""

    files: tuple[str, ...]
    rows: tuple[int, ...]

    def numbers(self, files: Any, rows: Any) -> Any:
        """Return the number of each row through all files, from 1. files, rows: Arrow columns, of names and of numbers in them."""
        import pyarrow as pa

        encoded = files.combine_chunks().dictionary_encode()
        first = dict(zip(self.files, self._ends()[:-1], strict=True))
        offsets = np.array([first[name] for name in encoded.dictionary.to_pylist()], np.int64)
        return pa.array(offsets[encoded.indices.to_numpy()] + rows.to_numpy())

    def where(self, numbers: Any) -> tuple[list[str], list[int]]:
        """Return the file of each row, and its number there, from 1. numbers: an Arrow column."""
        ends = np.array(self._ends(), np.int64)
        found = numbers.to_numpy()
        file = np.searchsorted(ends[1:], found)
        return [self.files[number] for number in file.tolist()], (found - ends[file]).tolist()

    def _ends(self) -> list[int]:
        return [0, *np.cumsum(self.rows, dtype=np.int64).tolist()]

    def save(self, folder: Path) -> None:
        """Write them beside the tables of a prepared folder."""
        write_json(folder / NAME, {"files": self.files, "rows": self.rows})


def where_of(folder: Path, columns: Any) -> tuple[Sequence[str], Sequence[int]]:
    """Return the file and the number in it of each row of a prepared table. columns: the Arrow table, with file and row."""
    path = folder / NAME
    if not path.is_file():
        return columns["file"].to_pylist(), columns["row"].to_pylist()
    known = read_json(path)
    return RowPlaces(tuple(known["files"]), tuple(known["rows"])).where(columns["row"])
