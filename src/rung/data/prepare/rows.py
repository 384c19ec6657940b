"""Rows of a prepared table by reference: what a job carries to another process instead of the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rung.core.types import Dataset, Examples
from rung.data.prepare.parquet import read_examples

# The table this process read last, by its file, size and time of change: jobs that run here read it once.
_LAST: dict[tuple[Path, int, int], Examples] = {}


@dataclass(frozen=True, eq=False)
class RowsHandle:
    """Some rows of a table. places: their numbers in the table, in order; None for all of it."""

    dataset: Dataset
    table: str
    places: npt.NDArray[np.int64] | None = None

    @staticmethod
    def of(dataset: Dataset, table: str) -> RowsHandle:
        """Return all rows of a table. Its facts, which a job does not need, are left behind."""
        folder = dataset.folder.resolve()
        return RowsHandle(replace(dataset, folder=folder, facts={}), table)

    def take(self, places: Sequence[int]) -> RowsHandle:
        """Return these of the rows, in this order."""
        chosen = np.asarray(places, dtype=np.int64)
        return replace(self, places=chosen if self.places is None else self.places[chosen])

    def load(self) -> Examples:
        """Return the rows in memory."""
        table = read_table(self.dataset, self.table)
        return table if self.places is None else table.take(self.places.tolist())


def read_table(dataset: Dataset, table: str) -> Examples:
    """Return the rows of a table, read from disk unless it is the one that was read last."""
    path = dataset.path(table)
    if path is None:
        return read_examples(dataset, table)
    stat = path.stat()
    key = (path.resolve(), stat.st_size, stat.st_mtime_ns)
    found = _LAST.get(key)
    if found is None:
        found = read_examples(dataset, table)
        _LAST.clear()
        _LAST[key] = found
    return found


def forget_table() -> None:
    """Let go of the table that was read last."""
    _LAST.clear()
