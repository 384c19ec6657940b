"""Additive model: a sum of lookup tables, one for each column and for a few pairs of columns."""

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
    """How a column is binned.

    column: position among the numbers, then the categories. places: for a number, the cut points between bins
    (bin 0 is "missing"; a cut point belongs to the bin above it); for a category, the bin of each code.
    """

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
    """One or two axes by position, and the table of what each bin, or pair of bins, adds: [bins, (bins,)
    outputs].
    """

    axes: tuple[int, ...]
    table: npt.NDArray[np.float32]


@dataclass(frozen=True)
class AdditiveModel:
    """Raw scores [rows, outputs] = intercept + the sum of all terms. With two labels there is one output.

    Every term has mean 0 over the training rows; a pair's table also along each of its columns, taken as
    independent.
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
        """Return [rows, numbers + categories, outputs]: what each column adds; a pair's value is split in
        half.

        With terms of mean 0 along each column these are exact Shapley values for independent columns: the
        value of a set of players is divided equally among them.
        """
        bins = [axis.bins(cells) for axis in self.axes]
        found = np.zeros((len(cells), cells.numbers.shape[1] + cells.codes.shape[1], len(self.intercept)))
        for term in self.terms:
            share = term.table[tuple(bins[axis] for axis in term.axes)] / len(term.axes)
            for axis in term.axes:
                found[:, self.axes[axis].column] += share
        return expand_binary_scores(found, self.outputs)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the model as arrays, for safetensors."""
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
        """Return the model that `arrays` describes."""
        axes = tuple(Axis(c, arrays[f"axis.{i}"]) for i, c in enumerate(arrays["columns"].tolist()))
        count = sum(key.endswith(".table") for key in arrays)
        terms = tuple(
            Term(tuple(arrays[f"term.{i}.axes"].tolist()), arrays[f"term.{i}.table"]) for i in range(count)
        )
        return AdditiveModel(axes, terms, arrays["intercept"], int(arrays["outputs"][0]))
