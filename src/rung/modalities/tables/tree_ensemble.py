"""Boosted trees over a table's cells; categories are encoded by target statistics of their training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.features import Cells
from rung.modalities.tables.quickscorer import QuickScorer, build_quickscorer
from rung.modalities.tables.tree_arrays import Trees
from rung.modalities.tables.tree_onnx import OnnxTrees
from rung.modalities.tables.tree_shap import TreeShap

Floats = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_GREATEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class TreeEncoding:
    """How cells become the features of trees.

    fill: value of a missing number where training had none missing, NaN elsewhere. values: of each category
    column, [codes, columns]: the mean target of each code's rows and, where many values are rare, last log(1
    + rows of the value). shift: what is taken from each number before it is rounded to single precision; ids of nine
    digits and Unix seconds would else fall together. None, as in bundles of version 0.1: nothing.
    """

    fill: Floats
    values: tuple[Floats, ...]
    shift: Floats | None = None

    def rows(self, cells: Cells, categories: Floats | None = None) -> Single:
        """Return [rows, features] in single precision.

        categories: the encoded category columns of training rows, where they were encoded out of fold.
        """
        numbers = np.where(np.isnan(cells.numbers), self.fill, cells.numbers)
        if categories is None:
            blocks = [value[cells.codes[:, j]] for j, value in enumerate(self.values)]
            categories = np.hstack(blocks) if blocks else np.zeros((len(cells), 0))
        if self.shift is not None:
            numbers = (numbers - self.shift).clip(-_GREATEST, _GREATEST)
        with np.errstate(over="ignore"):
            return np.hstack([numbers, categories]).astype(np.float32)

    @property
    def sources(self) -> Ints:
        """Return for each feature the column of the cells it comes from, numbers first."""
        width = len(self.fill)
        repeats = [value.shape[1] for value in self.values]
        return np.concatenate([np.arange(width), width + np.repeat(np.arange(len(repeats)), repeats)]).astype(
            np.int64
        )


@dataclass(frozen=True)
class TreeEnsemble:
    """Fitted trees: raw scores [rows, outputs] are sums of leaf values.

    With two labels the trees have one output, the log odds of the second label. fast_scorer: the same trees
    prepared for batches, set when loaded. onnx: the trees as an ONNX model, set when fitted, where
    QuickScorer cannot hold them.
    """

    encoding: TreeEncoding
    trees: Trees
    outputs: int
    fast_scorer: QuickScorer | OnnxTrees | None = None
    onnx: bytes | None = None

    @cached_property
    def _shap(self) -> TreeShap:
        return TreeShap(self.trees)

    def raw(self, cells: Cells) -> Floats:
        """Return [rows, outputs]."""
        scorer = self.fast_scorer or self.trees
        return expand_binary_scores(scorer.raw(self.encoding.rows(cells)), self.outputs)

    def contributions(self, cells: Cells) -> Floats:
        """Return [rows, numbers + categories, outputs]: exact Shapley values, summed over the features of a
        column.
        """
        by_feature = self._shap.contributions(self.encoding.rows(cells))
        place: Any = (slice(None), self.encoding.sources)
        found = np.zeros((len(cells), cells.numbers.shape[1] + cells.codes.shape[1], self.trees.outputs))
        np.add.at(found, place, by_feature)
        return expand_binary_scores(found, self.outputs)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the ensemble as arrays, for safetensors."""
        found = {"outputs": np.array([self.outputs]), "fill": self.encoding.fill}
        if self.encoding.shift is not None:
            found["shift"] = self.encoding.shift
        found |= {f"means.{j}": value for j, value in enumerate(self.encoding.values)}
        return found | {f"trees.{name}": array for name, array in self.trees.arrays().items()}

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> TreeEnsemble:
        """Return the ensemble that `arrays` describes."""
        values = tuple(arrays[f"means.{j}"] for j in range(sum(key.startswith("means.") for key in arrays)))
        trees = {key.removeprefix("trees."): a for key, a in arrays.items() if key.startswith("trees.")}
        return TreeEnsemble(
            TreeEncoding(arrays["fill"], values, arrays.get("shift")),
            Trees.from_arrays(trees),
            int(arrays["outputs"][0]),
        )

    def save_onnx(self, path: Path) -> None:
        """Write the ONNX model, if the ensemble has one."""
        if self.onnx is not None:
            path.write_bytes(self.onnx)
        elif isinstance(self.fast_scorer, OnnxTrees):
            self.fast_scorer.file.copy_to(path)

    def with_fast_scorer(self, onnx: Path) -> TreeEnsemble:
        """Return the ensemble prepared for batches: as QuickScorer or, where that is too large, in ONNX
        Runtime.

        onnx: the file that `save_onnx` wrote. Without one, as in bundles of version 0.1, numpy runs large
        ensembles, ten times as slowly.
        """
        scorer = build_quickscorer(self.trees)
        if scorer is None and onnx.is_file():
            return replace(self, fast_scorer=OnnxTrees.open(onnx, self.trees.outputs))
        return replace(self, fast_scorer=scorer)


def expand_binary_scores(raw: Floats, outputs: int) -> Floats:
    """Return scores of the second of two labels as scores of both, on the last axis; other scores unchanged."""
    return np.concatenate([-raw / 2, raw / 2], axis=-1) if raw.shape[-1] < outputs else raw
