"""A sum of tables: one for each column's bins, a few for pairs of columns. Nothing else is added up, so all can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.features import Cells
from rung.modalities.tables.tree_ensemble import expand_binary_scores

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Axis:
    """How a column falls into bins. column: among the numbers, then the categories. places: of a number, the cuts
    between its bins (bin 0 is "missing", a cut belongs to the bin above it); of a category, the bin of each code."""

    column: int
    places: npt.NDArray[Any]

    def bins(self, cells: Cells) -> Ints:
        """Return the bin of each row."""
        width = cells.numbers.shape[1]
        if self.column >= width:
            codes = cells.codes[:, self.column - width]
            return np.asarray(self.places[np.minimum(codes, len(self.places) - 1)], dtype=np.int64)
        values = cells.numbers[:, self.column]
        found = np.searchsorted(self.places, values, side="right") + 1
        return np.where(np.isnan(values), 0, found).astype(np.int64)


@dataclass(frozen=True)
class Term:
    """One or two axes by their number, and what each bin, or pair of bins, adds: [bins, (bins,) outputs]."""

    axes: tuple[int, ...]
    table: npt.NDArray[np.float32]


@dataclass(frozen=True)
class AdditiveModel:
    """Raw scores [rows, outputs] = intercept + the sum of all terms; one output speaks for one label of two.

    Every term has mean 0 over training rows, a pair's also along either column, columns taken as independent.
    """

    axes: tuple[Axis, ...]
    terms: tuple[Term, ...]
    intercept: Floats
    outputs: int

    def raw(self, cells: Cells) -> Floats:
        """Return [rows, outputs]."""
        bins = [axis.bins(cells) for axis in self.axes]
        total = np.tile(self.intercept, (len(cells), 1))
        for term in self.terms:
            total += term.table[tuple(bins[axis] for axis in term.axes)]
        return expand_binary_scores(total, self.outputs)

    def contributions(self, cells: Cells) -> Floats:
        """Return [rows, numbers + categories, outputs]: what each column adds, a pair's half to either of its two.

        With terms of mean 0 along each column these are the exact Shapley values, columns taken as independent: a
        game whose value is a sum over sets of players gives each set's worth to its players in equal parts.
        """
        bins = [axis.bins(cells) for axis in self.axes]
        found = np.zeros((len(cells), cells.numbers.shape[1] + cells.codes.shape[1], len(self.intercept)))
        for term in self.terms:
            moved = term.table[tuple(bins[axis] for axis in term.axes)] / len(term.axes)
            for axis in term.axes:
                found[:, self.axes[axis].column] += moved
        return expand_binary_scores(found, self.outputs)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything, for safetensors."""
        found: dict[str, npt.NDArray[Any]] = {
            "outputs": np.array([self.outputs]),
            "intercept": self.intercept,
            "columns": np.array([axis.column for axis in self.axes], dtype=np.int64),
        }
        found |= {f"axis.{i}": axis.places for i, axis in enumerate(self.axes)}
        for i, term in enumerate(self.terms):
            found |= {f"term.{i}.axes": np.array(term.axes, dtype=np.int64), f"term.{i}.table": term.table}
        return found

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> AdditiveModel:
        """Return what `arrays` gave."""
        axes = tuple(Axis(c, arrays[f"axis.{i}"]) for i, c in enumerate(arrays["columns"].tolist()))
        count = sum(key.endswith(".table") for key in arrays)
        terms = tuple(
            Term(tuple(arrays[f"term.{i}.axes"].tolist()), arrays[f"term.{i}.table"]) for i in range(count)
        )
        return AdditiveModel(axes, terms, arrays["intercept"], int(arrays["outputs"][0]))
