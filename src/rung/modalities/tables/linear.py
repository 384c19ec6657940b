"""Linear model of a table: standardised numbers with a few knots, one weight for each category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.features import Cells

Floats = npt.NDArray[np.float64]
# No quantity is larger: programs write the largest double where a number is missing, and its square overflows.
_LARGEST = 1e100


def is_absent(numbers: Floats) -> npt.NDArray[np.bool_]:
    """Return which numbers are missing, or so large that they stand for a missing one."""
    return ~(np.abs(numbers) < _LARGEST)


@dataclass(frozen=True)
class LinearDesign:
    """How cells become the columns of a linear model.

    fill: replacement of a missing number. knots: [numbers, k], where the slope may change; no columns for
    straight lines. gaps: numbers that have an "is missing" column. shift, scale: standardisation of the dense
    columns. kept: for each category column, code -> position of its weight (the last position is shared by
    rare and unseen values).
    """

    fill: Floats
    knots: Floats
    gaps: npt.NDArray[np.int64]
    shift: Floats
    scale: Floats
    kept: tuple[npt.NDArray[np.int64], ...]

    @property
    def dense_width(self) -> int:
        return len(self.shift)

    @property
    def width(self) -> int:
        return self.dense_width + sum(int(places.max(initial=-1)) + 1 for places in self.kept)

    def dense(self, cells: Cells) -> Floats:
        """Return [rows, dense columns]: numbers, knots, gaps; each with mean 0 and standard deviation 1."""
        return (self.unscaled(cells) - self.shift) / self.scale

    def unscaled(self, cells: Cells) -> Floats:
        """Return the dense columns before standardisation."""
        missing = is_absent(cells.numbers)
        values = np.where(missing, self.fill, cells.numbers)
        blocks = [values]
        if self.knots.shape[1]:
            # Clipped to the outer knots: outliers must not pull the line.
            low, high = self.knots[:, 0], self.knots[:, -1]
            held = np.clip(values, low, high)
            blocks[0] = held
            inner = self.knots[:, 1:-1]
            blocks += [np.maximum(held - inner[:, k], 0.0) for k in range(inner.shape[1])]
        blocks.append(missing[:, self.gaps].astype(np.float64))
        return np.hstack(blocks)

    def places(self, cells: Cells) -> npt.NDArray[np.int64]:
        """Return [rows, category columns]: position of each cell's weight among all columns."""
        found = np.empty(cells.codes.shape, dtype=np.int64)
        begin = self.dense_width
        for j, places in enumerate(self.kept):
            found[:, j] = begin + places[cells.codes[:, j]]
            begin += int(places.max(initial=-1)) + 1
        return found


@dataclass(frozen=True)
class LinearModel:
    """Fitted linear model: raw scores [rows, outputs].

    centre: [categories, outputs], the mean weight of each category column over the training rows.
    """

    design: LinearDesign
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    centre: npt.NDArray[np.float32]

    def raw(self, cells: Cells) -> Floats:
        """Return [rows, outputs]."""
        weights = self.weights.astype(np.float64)
        scores = self.design.dense(cells) @ weights[: self.design.dense_width] + self.bias
        for column in self.design.places(cells).T:
            scores += weights[column]
        return np.asarray(scores, dtype=np.float64)

    def contributions(self, cells: Cells) -> Floats:
        """Return [rows, numbers + categories, outputs]: what each column adds to the score, relative to its
        mean.

        For a linear model with independent columns these are the Shapley values (Lundberg & Lee 2017).
        """
        weights = self.weights.astype(np.float64)
        numbers, knots = cells.numbers.shape[1], max(self.design.knots.shape[1] - 2, 0)
        dense = self.design.dense(cells)
        found = np.zeros((len(cells), numbers + cells.codes.shape[1], weights.shape[1]))
        for k in range(knots + 1):
            part = slice(k * numbers, (k + 1) * numbers)
            found[:, :numbers] += dense[:, part, None] * weights[part]
        begin = (knots + 1) * numbers
        for place, number in enumerate(self.design.gaps.tolist()):
            found[:, number] += dense[:, begin + place, None] * weights[begin + place]
        for j, column in enumerate(self.design.places(cells).T):
            found[:, numbers + j] = weights[column] - self.centre[j]
        return found

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the model as arrays, for safetensors."""
        design = self.design
        found: dict[str, npt.NDArray[Any]] = {
            "weights": self.weights, "bias": self.bias, "centre": self.centre, "fill": design.fill, "knots": design.knots,
            "gaps": design.gaps, "shift": design.shift, "scale": design.scale,
        }  # fmt: skip
        return found | {f"kept.{j}": places for j, places in enumerate(design.kept)}

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> LinearModel:
        """Return the model that `arrays` describes."""
        kept = tuple(arrays[f"kept.{j}"] for j in range(sum(key.startswith("kept.") for key in arrays)))
        own: list[Any] = [arrays[key] for key in ("fill", "knots", "gaps", "shift", "scale")]
        own.append(kept)
        design = LinearDesign(*own)
        return LinearModel(design, arrays["weights"], arrays["bias"], arrays["centre"])
