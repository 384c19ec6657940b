"""Boosted trees as arrays, run by numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trees:
    """The nodes of all trees, in preorder, tree after tree.

    A row goes left when its feature is at most the threshold, or missing and `missing_left` is set. A leaf
    has feature -1 and a value. cover: training rows that reached the node. roots: first node of each tree.
    output: the output each tree adds to.
    """

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
        """Return [rows, outputs]: the sum of the leaf values that each row reaches. All trees descend in
        step.
        """
        found = np.zeros((len(rows), self.outputs))
        # Bounds the array of node positions to a few megabytes.
        step = max(1, 400_000 // max(len(self.roots), 1))
        for begin in range(0, len(rows), step):
            part = rows[begin : begin + step]
            values = self.value[self.leaves(part)].astype(np.float64)
            for k in range(self.outputs):
                found[begin : begin + step, k] = values[:, self.output == k].sum(axis=1)
        return found

    def leaves(self, rows: Single) -> npt.NDArray[np.int32]:
        """Return [rows, trees]: the leaf that each row reaches in each tree."""
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
        """Return the trees as arrays for safetensors, twelve bytes a node.

        A left child directly follows its parent, so its position is not stored. A node stores one number, a
        leaf's value or a split's threshold. The feature's sign stores where missing values go: j left, -2 - j
        right, -1 is a leaf.
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
        """Return the trees that `arrays` describes."""
        stored, place = arrays["feature"].astype(np.int32), np.arange(len(arrays["feature"]), dtype=np.int32)
        inside = stored != -1
        number = arrays["number"]
        return Trees(
            np.where(stored < -1, -2 - stored, stored).astype(np.int32), np.where(inside, number, 0).astype(np.float32),
            np.where(inside, place + 1, -1).astype(np.int32),
            np.where(inside, place + arrays["right"].astype(np.int32), -1).astype(np.int32),
            stored >= 0, np.where(inside, 0, number).astype(np.float32), arrays["cover"], arrays["roots"],
            arrays["output"].astype(np.int32), int(arrays["outputs"][0]),
        )  # fmt: skip


def _smallest(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return integers as int16 where all fit, else int32."""
    fits = not len(values) or (values.min() >= -(2**15) and values.max() < 2**15)
    return values.astype(np.int16 if fits else np.int32)
