"""Boosted trees as arrays: read from LightGBM's own dump, run by numpy, explained exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trees:
    """Many trees, node after node. A node sends a row left when its feature is at most the threshold, or missing and
    `missing_left`; a leaf has feature -1 and a value. output: which output a tree adds to. cover: training rows."""

    feature: npt.NDArray[np.int32]
    threshold: Single
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    missing_left: npt.NDArray[np.bool_]
    value: Single
    cover: Single
    roots: npt.NDArray[np.int32]
    output: npt.NDArray[np.int32]
    outputs: int

    def raw(self, rows: Single) -> Floats:
        """Return [rows, outputs]: the sum of the leaves that each row falls into; all trees step down together."""
        found = np.zeros((len(rows), self.outputs))
        # As many rows at a time as keep the table of places within a few megabytes.
        step = max(1, 400_000 // max(len(self.roots), 1))
        for begin in range(0, len(rows), step):
            part = rows[begin : begin + step]
            values = self.value[self.leaves(part)].astype(np.float64)
            for k in range(self.outputs):
                found[begin : begin + step, k] = values[:, self.output == k].sum(axis=1)
        return found

    def leaves(self, rows: Single) -> npt.NDArray[np.int32]:
        """Return [rows, trees]: the leaf of each row in each tree."""
        at = np.tile(self.roots, (len(rows), 1))
        row = np.arange(len(rows))[:, None]
        while True:
            feature = self.feature[at]
            inside = feature >= 0
            if not inside.any():
                return at
            cell = rows[row, np.maximum(feature, 0)]
            goes_left = np.where(np.isnan(cell), self.missing_left[at], cell <= self.threshold[at])
            at = np.where(inside, np.where(goes_left, self.left[at], self.right[at]), at)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return everything, for safetensors: twelve bytes a node.

        A left child stands right behind its parent, so that its place need not be said; a node is a leaf with a value
        or a decision with a threshold, and which way missing cells go is the sign of its feature: j or -2 - j, -1 a leaf.
        """
        inside, place = self.feature >= 0, np.arange(len(self.feature))
        if not (self.left[inside] == place[inside] + 1).all():
            raise ValueError("a left child does not follow its parent")
        feature = np.where(inside & ~self.missing_left, -2 - self.feature, self.feature)
        right = np.where(inside, self.right - place, 0)
        return {
            "feature": _smallest(feature),
            "number": np.where(inside, self.threshold, self.value).astype(np.float32),
            "right": _smallest(right),
            "cover": self.cover,
            "roots": self.roots,
            "output": _smallest(self.output),
            "outputs": np.array([self.outputs], dtype=np.int64),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> Trees:
        """Return what `arrays` gave."""
        said, place = arrays["feature"].astype(np.int32), np.arange(len(arrays["feature"]), dtype=np.int32)
        inside = said != -1
        number = arrays["number"]
        return Trees(
            np.where(said < -1, -2 - said, said).astype(np.int32), np.where(inside, number, 0).astype(np.float32),
            np.where(inside, place + 1, -1).astype(np.int32),
            np.where(inside, place + arrays["right"].astype(np.int32), -1).astype(np.int32),
            said >= 0, np.where(inside, 0, number).astype(np.float32), arrays["cover"], arrays["roots"],
            arrays["output"].astype(np.int32), int(arrays["outputs"][0]),
        )  # fmt: skip


def _smallest(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers in 16 bits where all fit."""
    fits = not len(values) or (values.min() >= -(2**15) and values.max() < 2**15)
    return values.astype(np.int16 if fits else np.int32)


def trees_from_lightgbm(dump: Mapping[str, Any], outputs: int, scale: float = 1.0) -> Trees:
    """Return the trees of `Booster.dump_model()`. scale: what leaf values are multiplied by.

    Thresholds become the largest single-precision number at or below LightGBM's: rows come in single precision,
    so each goes the same way. Raises ValueError for a split of another kind than "at most".
    """
    nodes: list[tuple[int, float, int, int, bool, float, float]] = []
    roots, output = [], []

    def add(tree: Mapping[str, Any]) -> int:
        """Add a tree's nodes, parents first; returns the place of its root. Deep trees need no deep stack."""
        root = len(nodes)
        waiting: list[tuple[Mapping[str, Any], int, bool]] = [(tree, -1, False)]
        while waiting:
            node, parent, is_left = waiting.pop()
            place = len(nodes)
            if parent >= 0:
                old = nodes[parent]
                nodes[parent] = (
                    *old[:2],
                    place if is_left else old[2],
                    old[3] if is_left else place,
                    *old[4:],
                )
            if "leaf_value" in node:
                cover = float(node.get("leaf_count", 0) or 0)
                nodes.append((-1, 0.0, -1, -1, False, float(node["leaf_value"]) * scale, cover))
                continue
            if node["decision_type"] != "<=":
                raise ValueError(f"a split of the kind '{node['decision_type']}'")
            kept = (
                int(node["split_feature"]),
                _float32_below(node["threshold"]),
                -1,
                -1,
                bool(node["default_left"]),
            )
            nodes.append((*kept, 0.0, float(node["internal_count"])))
            waiting.append((node["right_child"], place, False))
            waiting.append((node["left_child"], place, True))
        return root

    for number, info in enumerate(dump["tree_info"]):
        roots.append(add(info["tree_structure"]))
        output.append(number % outputs)
    columns: list[Any] = list(zip(*nodes, strict=True)) if nodes else [[] for _ in range(7)]
    kinds = (np.int32, np.float32, np.int32, np.int32, np.bool_, np.float32, np.float32)
    arrays: list[Any] = [np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)]
    ends: list[Any] = [np.array(roots, dtype=np.int32), np.array(output, dtype=np.int32), outputs]
    return Trees(*arrays, *ends)


def concatenate_trees(parts: Sequence[Trees]) -> Trees:
    """Return several ensembles as one: its answers are the sum of theirs."""
    offsets = np.cumsum([0, *(len(part.feature) for part in parts)])[:-1]
    moved = [
        (np.where(part.left >= 0, part.left + off, -1), np.where(part.right >= 0, part.right + off, -1), part.roots + off)
        for part, off in zip(parts, offsets, strict=True)
    ]  # fmt: skip

    def stacked(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    left, right, roots = (np.concatenate([m[i] for m in moved]).astype(np.int32) for i in range(3))
    return Trees(
        stacked("feature"), stacked("threshold"), left, right, stacked("missing_left"), stacked("value"),
        stacked("cover"), roots, stacked("output"), parts[0].outputs,
    )  # fmt: skip


def shift_outputs(trees: Trees, shift: Floats) -> Trees:
    """Return trees whose scores are higher by `shift`, [outputs]: the leaves of each output's first tree bear it."""
    value = trees.value.astype(np.float64)
    ends = np.append(trees.roots[1:], len(trees.feature))
    for output in np.flatnonzero(shift).tolist():
        first = int(np.flatnonzero(trees.output == output)[0])
        own = slice(int(trees.roots[first]), int(ends[first]))
        value[own] += np.where(trees.feature[own] < 0, shift[output], 0.0)
    return replace(trees, value=value.astype(np.float32)) if shift.any() else trees


def _float32_below(threshold: float) -> float:
    with np.errstate(over="ignore"):
        single = np.float32(threshold)
    return float(single if float(single) <= threshold else np.nextafter(single, np.float32(-np.inf)))
