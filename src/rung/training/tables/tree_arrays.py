"""Build tree arrays from LightGBM's dump; concatenate and shift them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rung.modalities.tables.tree_arrays import Trees
from rung.training.tables.objective import Floats


def trees_from_lightgbm(dump: Mapping[str, Any], outputs: int, scale: float = 1.0) -> Trees:
    """Return the trees of `Booster.dump_model()`. scale: factor of all leaf values.

    Thresholds become the largest float32 at or below LightGBM's: rows are float32, so each takes the same
    path. Raises ValueError for a split of another kind than "<=".
    """
    nodes: list[tuple[int, float, int, int, bool, float, float]] = []
    roots, output = [], []

    def add(tree: Mapping[str, Any]) -> int:
        """Add a tree's nodes in preorder, without recursion; returns the position of its root."""
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
    """Return one ensemble whose raw scores are the sum of the others'."""
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
    """Return trees with `shift` [outputs] added to their scores, in the leaves of each output's first tree."""
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
