"""A sparse matrix in compressed rows, read with numpy alone: a request adds up a few of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# A matrix of at most so many cells (64 MB), and of at most so many cells an entry, is also kept whole in memory.
_MOST_DENSE, _DENSER = 16_000_000, 40


def entries_of(begins: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return the places of all entries of some rows, one row after the other, and how many each row has."""
    first, counts = begins[rows], begins[rows + 1] - begins[rows]
    before = np.concatenate([np.zeros(1, np.int64), counts.cumsum()])
    return np.arange(before[-1]) + np.repeat(first - before[:-1], counts), counts


@dataclass(frozen=True)
class SparseRows:
    """begins: [rows + 1]. columns, values: of the entries, row by row. width: columns in all."""

    begins: npt.NDArray[np.int64]
    columns: npt.NDArray[np.integer]
    values: npt.NDArray[np.floating]
    width: int

    @cached_property
    def _dense(self) -> npt.NDArray[np.float32] | None:
        """Return the whole matrix where it is small and not much larger than its entries: adding whole rows is faster."""
        rows = len(self.begins) - 1
        size = rows * self.width
        if size > _MOST_DENSE or size > _DENSER * len(self.columns):
            return None
        found = np.zeros((rows, self.width), np.float32)
        found[np.repeat(np.arange(rows), np.diff(self.begins)), self.columns] = self.values
        return found

    def weighted_sum(self, rows: Ints, weights: Floats) -> Floats:
        """Return the sum of these rows, each times its weight, shape (width,)."""
        if self._dense is not None:
            taken = self._dense[rows]
            if (weights != 1.0).any():
                taken *= weights.astype(np.float32)[:, None]
            return np.asarray(np.add.reduce(taken, axis=0), np.float64)
        places, counts = entries_of(self.begins, rows)
        if not len(places):
            return np.zeros(self.width)
        values = self.values[places].astype(np.float64) * np.repeat(weights, counts)
        return np.asarray(np.bincount(self.columns[places], values, self.width), np.float64)

    def entries(self, rows: Ints, columns: Ints) -> Floats:
        """Return what stands in these columns of these rows, [rows, columns]; 0 where nothing does. columns: each once."""
        if self._dense is not None:
            return self._dense[np.ix_(rows, columns)].astype(np.float64)
        places, counts = entries_of(self.begins, rows)
        wanted = np.full(self.width, -1, np.int64)
        wanted[columns] = np.arange(len(columns))
        column = wanted[self.columns[places]]
        keep = column >= 0
        found = np.zeros((len(rows), len(columns)))
        found[np.repeat(np.arange(len(rows)), counts)[keep], column[keep]] = self.values[places[keep]]
        return found

    def arrays(self, name: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return the arrays to store under a name, in the smallest types that hold them."""
        narrow = np.uint16 if self.width <= 1 << 16 else np.uint32
        return {
            f"{name}.begins": self.begins.astype(np.int64),
            f"{name}.columns": self.columns.astype(narrow),
            f"{name}.values": self.values.astype(np.float16),
            f"{name}.width": np.array([self.width], np.int64),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[np.generic]], name: str) -> SparseRows:
        """Return what `arrays` gave; raises ValueError where it does not fit together."""
        begins = np.asarray(arrays[f"{name}.begins"], np.int64)
        columns, values = arrays[f"{name}.columns"], arrays[f"{name}.values"]
        width = int(np.asarray(arrays[f"{name}.width"], np.int64)[0])
        if not (len(columns) == len(values) == int(begins[-1])) or (
            len(columns) and int(columns.max()) >= width
        ):
            raise ValueError(f"the sparse rows '{name}' do not fit together")
        return SparseRows(begins, columns, values, width)  # type: ignore[arg-type]

    @staticmethod
    def of(dense_row_parts: list[tuple[Ints, Floats]], width: int) -> SparseRows:
        """Return the matrix of rows given as (columns, values); values are rounded to half precision, as they ship."""
        counts = np.array([len(columns) for columns, _ in dense_row_parts], np.int64)
        begins = np.concatenate([np.zeros(1, np.int64), counts.cumsum()])
        columns = np.concatenate([c for c, _ in dense_row_parts]) if len(counts) else np.zeros(0, np.int64)
        values = np.concatenate([v for _, v in dense_row_parts]) if len(counts) else np.zeros(0)
        narrow = np.uint16 if width <= 1 << 16 else np.uint32
        return SparseRows(begins, columns.astype(narrow), values.astype(np.float16), width)
