"""Boosted trees over a table's cells: categories stand as what is known of their rows, missing goes its own way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.features import MIN_VALUE_ROWS, Cells
from rung.modalities.tables.quickscorer import QuickScorer, build_quickscorer
from rung.modalities.tables.tree_arrays import Trees
from rung.modalities.tables.tree_onnx import OnnxTrees
from rung.modalities.tables.tree_shap import TreeShap

Floats = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
# A category's mean is drawn to the mean of all rows as if so many more rows had that.
_SMOOTHING = 10.0
# A value of so many rows stands as the mean of all of them, the row itself too, in training as later: one of a hundred gives
# little away, and a mean for each fold would blur it for the trees. For labels that are not half and half
# the rows count by p(1 - p) against a half's: where positives are rare, one in a hundred would give itself away.
_COMMON_ROWS = 100
# A row of a rare value is encoded by the rows of other folds: of many, so that little of what is known of the value is lost.
_FOLDS = 10
# Where this share of a column's values have a row or two, how many rows a value has is said beside its mean.
_MIN_RARE_SHARE = 0.1
# More outputs than these would make as many columns of each category: their first ones speak for the rest.
_MAX_OUTPUTS = 5


@dataclass(frozen=True)
class TreeEncoding:
    """fill: what a missing number becomes where training had none missing, NaN elsewhere. values: a category column ->
    [codes, columns], the mean target of each code's rows, and last, where many values have but a row or two, the
    logarithm of one more than how many rows: it tells the regulars from the passers-by."""

    fill: Floats
    values: tuple[Floats, ...]

    def rows(self, cells: Cells, apart: Floats | None = None) -> Single:
        """Return [rows, features] in single precision. apart: category columns of training rows that were encoded
        without their own targets."""
        numbers = np.where(np.isnan(cells.numbers), self.fill, cells.numbers)
        if apart is None:
            blocks = [value[cells.codes[:, j]] for j, value in enumerate(self.values)]
            apart = np.hstack(blocks) if blocks else np.zeros((len(cells), 0))
        with np.errstate(over="ignore"):
            return np.hstack([numbers, apart]).astype(np.float32)

    @property
    def sources(self) -> Ints:
        """Return for each feature which column of the cells it comes from, numbers first."""
        width = len(self.fill)
        repeats = [value.shape[1] for value in self.values]
        return np.concatenate([np.arange(width), width + np.repeat(np.arange(len(repeats)), repeats)]).astype(
            np.int64
        )


@dataclass(frozen=True)
class TreeEnsemble:
    """Fitted trees: raw scores [rows, outputs] are sums of leaves; trees of one output speak for one label of two
    and against the other. quick: the same made ready for many rows, where it was opened."""

    design: TreeEncoding
    trees: Trees
    outputs: int
    fast_scorer: QuickScorer | OnnxTrees | None = None

    @cached_property
    def _shap(self) -> TreeShap:
        return TreeShap(self.trees)

    def raw(self, cells: Cells) -> Floats:
        """Return [rows, outputs]."""
        return expand_binary_scores(
            (self.fast_scorer or self.trees).raw(self.design.rows(cells)), self.outputs
        )

    def contributions(self, cells: Cells) -> Floats:
        """Return [rows, numbers + categories, outputs]: exact Shapley values of the trees, features of a column added."""
        by_feature = self._shap.contributions(self.design.rows(cells))
        place: Any = (slice(None), self.design.sources)
        found = np.zeros((len(cells), cells.numbers.shape[1] + cells.codes.shape[1], self.trees.outputs))
        np.add.at(found, place, by_feature)
        return expand_binary_scores(found, self.outputs)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything, for safetensors."""
        found = {"outputs": np.array([self.outputs]), "fill": self.design.fill}
        found |= {f"means.{j}": value for j, value in enumerate(self.design.values)}
        return found | {f"trees.{name}": array for name, array in self.trees.arrays().items()}

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> TreeEnsemble:
        """Return what `arrays` gave."""
        values = tuple(arrays[f"means.{j}"] for j in range(sum(key.startswith("means.") for key in arrays)))
        trees = {key.removeprefix("trees."): a for key, a in arrays.items() if key.startswith("trees.")}
        return TreeEnsemble(
            TreeEncoding(arrays["fill"], values), Trees.from_arrays(trees), int(arrays["outputs"][0])
        )

    def with_fast_scorer(self) -> TreeEnsemble:
        """Return the part with its trees as tables, or in ONNX Runtime where those would be too large."""
        tables = build_quickscorer(self.trees)
        return replace(self, fast_scorer=tables or OnnxTrees.of(self.trees, len(self.design.sources)))


def expand_binary_scores(raw: Floats, outputs: int) -> Floats:
    """Return scores of one label of two as scores of both, on the last axis; others as they are."""
    return np.concatenate([-raw / 2, raw / 2], axis=-1) if raw.shape[-1] < outputs else raw


def fit_tree_encoding(cells: Cells, targets: Floats) -> TreeEncoding:
    """Return the design of training cells. targets: [rows, outputs], whose means categories are encoded by."""
    has_gap = np.isnan(cells.numbers).any(axis=0)
    fill = np.full(cells.numbers.shape[1], np.nan)
    for j in np.flatnonzero(~has_gap).tolist():
        fill[j] = np.median(cells.numbers[:, j])
    kept = _encoding_targets(targets)
    values = tuple(_code_statistics(cells.codes[:, j], kept, size) for j, size in enumerate(cells.sizes))
    return TreeEncoding(fill, values)


def _encoding_targets(targets: Floats) -> Floats:
    """Return the outputs that categories are encoded by: of two labels one says all."""
    return targets[:, 1:] if targets.shape[1] == 2 else targets[:, :_MAX_OUTPUTS]


def _code_statistics(codes: npt.NDArray[np.int32], targets: Floats, size: int) -> Floats:
    """Return [size, columns], what each code stands as: see `TreeDesign`."""
    sums, counts = _target_sums(codes, targets, size)
    means = _smoothed_means(sums, counts, targets.mean(axis=0))
    present = counts[counts > 0]
    has_tail = (present < MIN_VALUE_ROWS).sum() >= max(_MIN_RARE_SHARE * len(present), 1)
    return np.hstack([means, np.log1p(counts)]) if has_tail else means


def _target_sums(codes: Ints | npt.NDArray[np.int32], targets: Floats, size: int) -> tuple[Floats, Ints]:
    """Return [size, outputs], the sum of targets of each code, and [size, 1], how many rows it has."""
    counts: Ints = np.bincount(codes, minlength=size)[:, None]
    sums = [np.bincount(codes, weights=column, minlength=size) for column in targets.T]
    return np.column_stack(sums).astype(np.float64), counts


def _smoothed_means(sums: Floats, counts: Ints, overall: Floats) -> Floats:
    """Return means that are drawn to the mean of all where rows are few."""
    return np.asarray((sums + _SMOOTHING * overall) / (counts + _SMOOTHING))


def encode_out_of_fold(design: TreeEncoding, cells: Cells, targets: Floats, seed: int) -> Floats:
    """Return the category columns of training rows, each row of a rare value encoded by what is known of other rows.

    design: learned of these cells and targets; common values stand as in its rows.
    With its own target in the mean, a rare category would give the answer away, and trees would trust it.
    """
    kept = _encoding_targets(targets)
    width = kept.shape[1]
    blocks = [np.zeros((len(cells), 0))]
    fold_of = np.random.default_rng(seed).permutation(len(cells)) % _FOLDS
    weight = np.minimum(4 * kept.var(axis=0), 1.0)
    for j, codes in enumerate(cells.codes.T):
        found = design.values[j][codes]
        sums, counts = _target_sums(codes, kept, cells.sizes[j])
        is_rare = (counts * weight < _COMMON_ROWS)[codes]
        rows = np.flatnonzero(is_rare.any(axis=1))
        # What is left of a code's rows without those of the row's own fold.
        own = codes[rows] * _FOLDS + fold_of[rows]
        less, fewer = _target_sums(own, kept[rows], cells.sizes[j] * _FOLDS)
        left = sums[codes[rows]] - less[own], counts[codes[rows]] - fewer[own]
        apart = _smoothed_means(*left, kept.mean(axis=0))
        found[rows, :width] = np.where(is_rare[rows], apart, found[rows, :width])
        if found.shape[1] > width:
            found[:, -1] = np.log1p(counts[codes, 0] - 1)
        blocks.append(found)
    return np.hstack(blocks)
