"""Training features in sparse or dense blocks, side by side: sliced, multiplied, and passed to scikit-learn
as one matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
# A column is common from this share of the rows on; common columns are expanded so many cells at a time.
_COMMON = 0.07
_DENSE_CELLS = 4_000_000


@dataclass(frozen=True)
class FeatureMatrix:
    """Blocks with the same rows: SciPy CSR matrices and numpy arrays, in the order of their weights."""

    blocks: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return self.blocks[0].shape[0], sum(block.shape[1] for block in self.blocks)

    @property
    def cells(self) -> int:
        """Return the cost of a pass over the matrix: its nonzero values; dense ones count a third."""
        return sum(block.nnz if hasattr(block, "nnz") else block.size // 3 for block in self.blocks)

    @property
    def is_dense(self) -> bool:
        return all(isinstance(block, np.ndarray) for block in self.blocks)

    def take(self, rows: Ints) -> FeatureMatrix:
        """Return these rows."""
        return FeatureMatrix(tuple(block[rows] for block in self.blocks))

    def without_empty_columns(self) -> FeatureMatrix:
        """Return a sample without the sparse columns it never fills: their weights would only cost time."""
        return FeatureMatrix(
            tuple(b[:, np.unique(b.indices)] if hasattr(b, "tocsr") else b for b in self.blocks)
        )

    def single_precision(self) -> FeatureMatrix:
        """Return the matrix in float32, for repeated products."""
        return FeatureMatrix(tuple(block.astype(np.float32, copy=False) for block in self.blocks))

    def dot(self, weights: Floats) -> Floats:
        """Return [rows, outputs] = matrix @ weights, in the weights' precision."""
        out = np.zeros((self.shape[0], weights.shape[1]), weights.dtype)
        begin = 0
        for block in self.blocks:
            end = begin + block.shape[1]
            out += block @ weights[begin:end]
            begin = end
        return out

    def transposed_dot(self, values: Floats) -> Floats:
        """Return [features, outputs] = matrix.T @ values."""
        return np.vstack([block.T @ values for block in self.blocks])

    def gram(self) -> Floats:
        """Return the Gram matrix [rows, rows]."""
        total = np.zeros((self.shape[0], self.shape[0]))
        for block in self.blocks:
            total += gram_matrix(block)
        return total

    def joined(self) -> Any:
        """Return one matrix for scikit-learn: dense if all blocks are, else CSR."""
        if len(self.blocks) == 1:
            return self.blocks[0]
        if self.is_dense:
            return np.hstack(self.blocks)
        from scipy.sparse import csr_matrix, hstack

        return hstack([csr_matrix(block) for block in self.blocks], format="csr")


class SampledRows:
    """The same rows of several matrices; a sparse block that they share is sliced and multiplied once.

    Blocks are recognised by identity, so the matrices must live as long as this object.
    """

    def __init__(self, rows: Ints) -> None:
        self._rows = rows
        self._taken: dict[int, Any] = {}
        self._products: dict[int, Floats] = {}

    def take(self, matrix: FeatureMatrix) -> FeatureMatrix:
        """Return these rows, without the sparse columns they never fill."""
        return FeatureMatrix(tuple(self._take(block) for block in matrix.blocks))

    def gram(self, matrix: FeatureMatrix) -> Floats:
        """Return the Gram matrix [rows, rows] of these rows."""
        total = np.zeros((len(self._rows), len(self._rows)))
        for block in matrix.blocks:
            if isinstance(block, np.ndarray):
                total += gram_matrix(block[self._rows])
                continue
            if id(block) not in self._products:
                self._products[id(block)] = gram_matrix(self._take(block))
            total += self._products[id(block)]
        return total

    def _take(self, block: Any) -> Any:
        if isinstance(block, np.ndarray):
            return block[self._rows]
        if id(block) not in self._taken:
            (self._taken[id(block)],) = FeatureMatrix((block[self._rows],)).without_empty_columns().blocks
        return self._taken[id(block)]


def gram_matrix(block: Any) -> Floats:
    """Return the Gram matrix [rows, rows] of one block.

    In a sparse product a column costs the square of its nonzero values: common columns are multiplied as
    dense blocks of a few hundred columns. On long texts, where the most common character n-grams occur nearly
    everywhere, that is four times as fast.
    """
    if not hasattr(block, "tocsr"):
        return np.asarray(block @ block.T)
    rows = block.shape[0]
    filled = np.bincount(block.indices, minlength=block.shape[1])
    common = np.flatnonzero(filled > _COMMON * rows)
    rare = block[:, np.flatnonzero((filled > 0) & (filled <= _COMMON * rows))]
    total = (rare @ rare.T).toarray()
    by_column = block.tocsc()
    step = max(1, _DENSE_CELLS // max(rows, 1))
    for begin in range(0, len(common), step):
        dense = by_column[:, common[begin : begin + step]].toarray()
        total += dense @ dense.T
    return np.asarray(total)
