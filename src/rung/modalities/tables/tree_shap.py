"""Exact Shapley values of trees (path-dependent TreeSHAP: Lundberg et al. 2018), vectorised over all leaves
in numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.tree_arrays import Trees

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Rows explained at a time; memory grows with rows times leaves.
_ROWS = 16


@dataclass(frozen=True)
class _Leaves:
    """All leaves with d different features on their path. Players are (leaf, feature) pairs, d for each leaf.

    features, shares: [leaves, d]; a share is the fraction of training rows that would continue towards the
    leaf if the feature were unknown. value, output: [leaves]. nodes, lefts: the splits of each player,
    concatenated; begins: where each player's splits begin.
    """

    features: Ints
    shares: Floats
    value: Floats
    output: Ints
    nodes: Ints
    lefts: npt.NDArray[np.bool_]
    begins: Ints


class TreeShap:
    """The paths of an ensemble, prepared once. expected: [outputs], its mean raw score over the training
    rows.
    """

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self._groups = _groups(trees)
        self.expected = np.zeros(trees.outputs)
        for group in self._groups:
            np.add.at(self.expected, group.output, group.value * group.shares.prod(axis=1))

    def contributions(self, rows: npt.NDArray[np.float32]) -> Floats:
        """Return [rows, features, outputs]; together with `expected` they sum to each row's raw score.

        A leaf with d features on its path is a game of d players: it is reached with the product of `pass` (1
        if the row passes the feature's splits, else 0) over known features and of their shares over unknown
        ones. So the Shapley value of player i is value * (pass_i - share_i) * sum over s of s! (d-1-s)! / d!
        * e_s, where e_s sums, over sets of s other players, `pass` in the set times share outside it: the
        coefficients of the product of (share_j + pass_j x) over the other players.
        """
        found = np.zeros((len(rows), rows.shape[1], self._trees.outputs))
        for begin in range(0, len(rows), _ROWS):
            part = rows[begin : begin + _ROWS]
            goes_left = _decisions(self._trees, part)
            for group in self._groups:
                shapley = _shapley_values(group, goes_left)
                target: Any = (
                    slice(None),
                    group.features.ravel(),
                    np.repeat(group.output, group.features.shape[1]),
                )
                np.add.at(found[begin : begin + _ROWS], target, shapley.reshape(len(part), -1))
        return found


def _decisions(trees: Trees, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return [rows, nodes]: whether each node sends each row left."""
    cells = rows[:, np.maximum(trees.feature, 0)]
    return np.where(np.isnan(cells), trees.missing_left, cells <= trees.threshold)


def _shapley_values(group: _Leaves, goes_left: npt.NDArray[np.bool_]) -> Floats:
    """Return [rows, leaves, d]: the Shapley value of each player."""
    agrees = (goes_left[:, group.nodes] == group.lefts).astype(np.float64)
    count, d = group.features.shape
    passes = np.minimum.reduceat(agrees, group.begins, axis=1).reshape(-1, count, d)
    weights = _weights(d)
    empty = np.zeros((*passes.shape[:2], d))
    empty[..., 0] = 1.0
    before, after = [empty], [empty]
    for i in range(d - 1):
        before.append(_multiply(before[-1], group.shares[:, i], passes[..., i]))
        after.append(_multiply(after[-1], group.shares[:, d - 1 - i], passes[..., d - 1 - i]))
    shapley = np.empty(passes.shape)
    for i in range(d):
        first, second = before[i], after[d - 1 - i]
        total = np.zeros(passes.shape[:2])
        for a in range(i + 1):
            for b in range(d - i):
                total += weights[a + b] * first[..., a] * second[..., b]
        shapley[..., i] = group.value * (passes[..., i] - group.shares[:, i]) * total
    return shapley


def _multiply(polynomial: Floats, shares: Floats, passes: Floats) -> Floats:
    out = polynomial * shares[:, None]
    out[..., 1:] += polynomial[..., :-1] * passes[..., None]
    return out


def _weights(d: int) -> Floats:
    """Return s! (d - 1 - s)! / d! for s = 0 ... d - 1."""
    found = np.empty(d)
    found[0] = 1.0 / d
    for s in range(1, d):
        found[s] = found[s - 1] * s / (d - s)
    return found


def _groups(trees: Trees) -> list[_Leaves]:
    """Return the leaves of all trees, grouped by the number of features on their path; single-leaf trees
    contribute nothing.
    """
    by_size: dict[int, list[tuple[dict[int, tuple[float, list[tuple[int, bool]]]], int, int]]] = {}
    for number, root in enumerate(trees.roots.tolist()):
        waiting: list[tuple[int, dict[int, tuple[float, list[tuple[int, bool]]]]]] = [(root, {})]
        while waiting:
            node, path = waiting.pop()
            feature = int(trees.feature[node])
            if feature < 0:
                by_size.setdefault(len(path), []).append((path, node, int(trees.output[number])))
                continue
            for child, is_left in ((int(trees.left[node]), True), (int(trees.right[node]), False)):
                part = float(trees.cover[child]) / max(float(trees.cover[node]), 1.0)
                share, nodes = path.get(feature, (1.0, []))
                waiting.append((child, {**path, feature: (share * part, [*nodes, (node, is_left)])}))
    return [_group(trees, leaves, size) for size, leaves in sorted(by_size.items()) if size]


def _group(
    trees: Trees, leaves: list[tuple[dict[int, tuple[float, list[tuple[int, bool]]]], int, int]], size: int
) -> _Leaves:
    players = [player for path, _, _ in leaves for player in path.values()]
    decisions = [decision for _, nodes in players for decision in nodes]
    counts = np.array([len(nodes) for _, nodes in players])
    return _Leaves(
        np.array([feature for path, _, _ in leaves for feature in path], dtype=np.int64).reshape(-1, size),
        np.array([share for share, _ in players]).reshape(-1, size),
        trees.value[[node for _, node, _ in leaves]].astype(np.float64),
        np.array([output for _, _, output in leaves], dtype=np.int64),
        np.array([node for node, _ in decisions], dtype=np.int64),
        np.array([left for _, left in decisions], dtype=bool),
        np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64),
    )
