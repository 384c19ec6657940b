"""Run a tree ensemble in ONNX Runtime: for ensembles too large for QuickScorer, ten times as fast as numpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rung.runtime.onnx.session import OnnxFile


@dataclass(frozen=True)
class OnnxTrees:
    """An open ONNX model of trees: input `rows` [n, features] float32, output `raw` [n, outputs]."""

    file: OnnxFile
    outputs: int

    @staticmethod
    def open(path: Path, outputs: int) -> OnnxTrees:
        """Return the trees of a file; raises RungError when ONNX Runtime cannot open it."""
        return OnnxTrees(OnnxFile.open(path), outputs)

    def raw(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return [rows, outputs]: the sum of the leaf values that each row reaches."""
        if not len(rows):
            return np.zeros((0, self.outputs))
        return np.asarray(self.file.run("raw", {"rows": rows}), dtype=np.float64)
