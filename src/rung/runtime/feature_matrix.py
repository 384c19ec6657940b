"""Training features in blocks, sparse or dense, side by side: sliced, multiplied and handed to scikit-learn as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


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
        return FeatureMatrix(tuple(block.astype(np.float32) for block in self.blocks))

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
            product = block @ block.T
            total += product.toarray() if hasattr(product, "toarray") else product
        return total

    def joined(self) -> Any:
        """Return one matrix for scikit-learn: dense if every block is, else CSR."""
        if len(self.blocks) == 1:
            return self.blocks[0]
        if self.is_dense:
            return np.hstack(self.blocks)
        from scipy.sparse import csr_matrix, hstack

        return hstack([csr_matrix(block) for block in self.blocks], format="csr")
