"""Training features in blocks, sparse or dense, side by side: sliced, multiplied and handed to scikit-learn as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
# Share of the rows beyond which a column is common, and how many cells of common columns are unfolded at a time.
_COMMON = 0.07
_DENSE_CELLS = 4_000_000


@dataclass(frozen=True)
class FeatureMatrix:
    """Blocks of the same rows: SciPy CSR matrices and numpy arrays, in the order of their weights."""

    blocks: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return self.blocks[0].shape[0], sum(block.shape[1] for block in self.blocks)

    @property
    def cells(self) -> int:
        """Return how many cells are filled: what a pass over the matrix costs. Dense ones cost a third each."""
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
        """Return the same in half the memory, for products that are repeated."""
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
        """Return [rows, rows]: the inner product of every two rows."""
        total = np.zeros((self.shape[0], self.shape[0]))
        for block in self.blocks:
            total += gram_matrix(block)
        return total

    def joined(self) -> Any:
        """Return one matrix for scikit-learn: dense if every block is, else CSR."""
        if len(self.blocks) == 1:
            return self.blocks[0]
        if self.is_dense:
            return np.hstack(self.blocks)
        from scipy.sparse import csr_matrix, hstack

        return hstack([csr_matrix(block) for block in self.blocks], format="csr")


class SampledRows:
    """The same rows of several matrices. A sparse block that they share is taken once and multiplied once.

    matrices are to live as long as this does: a block is known by its identity.
    """

    def __init__(self, rows: Ints) -> None:
        self._rows = rows
        self._taken: dict[int, Any] = {}
        self._products: dict[int, Floats] = {}

    def take(self, matrix: FeatureMatrix) -> FeatureMatrix:
        """Return these rows, without the sparse columns they never fill."""
        return FeatureMatrix(tuple(self._take(block) for block in matrix.blocks))

    def gram(self, matrix: FeatureMatrix) -> Floats:
        """Return [rows, rows]: the inner product of every two of these rows."""
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
    """Return [rows, rows]: the inner product of every two rows of one block.

    A column that many rows fill costs a sparse product the square of their number, one by one: such columns are
    multiplied as a dense matrix, a few hundred at a time. On long texts, whose commonest character n-grams stand
    nearly everywhere, that is four times as fast.
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
