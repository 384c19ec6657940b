"""Ridge regression with an unpenalised bias, for all targets at once, through the inner products of the rows.

Few rows: their Gram matrix is solved directly. Many rows: conjugate gradients, which need only products with the
features; thirty or so passes over them, whatever the number of targets (Hestenes & Stiefel 1952; Saunders et al. 1998
for the dual).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rung.runtime.feature_matrix import FeatureMatrix

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
# Up to this many rows the Gram matrix is formed: 200 MB.
DUAL_ROWS = 5_000
# Of the residual's length: beyond it no label of the benchmark's cases changed.
_TOLERANCE = 3e-3
_MOST_PASSES = 300


def ridge(matrix: FeatureMatrix, targets: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Return (weights [features, targets], bias [targets]) that minimise squared error + alpha * squared weights.

    targets: [rows, targets].
    """
    if len(targets) <= DUAL_ROWS:
        dual, bias = dual_ridge(matrix.gram(), targets, alpha)
        return matrix.transposed_dot(dual), bias
    return _conjugate_gradients(matrix, targets, alpha)


def dual_ridge(gram: Floats, targets: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Return (dual coefficients [rows, targets], bias) from inner products [rows, rows]."""
    from scipy.linalg import solve

    mean = gram.mean(axis=0)
    centred = gram - mean - mean[:, None] + mean.mean()
    centred[np.diag_indices_from(centred)] += alpha
    offset = targets.mean(axis=0)
    dual = solve(centred, targets - offset, assume_a="pos", overwrite_a=True, check_finite=False)
    # The dual coefficients of centred targets sum to zero, so centring the features drops out of the weights.
    return dual, offset - mean @ dual


def _conjugate_gradients(matrix: FeatureMatrix, targets: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Return what `ridge` does, by solving (K + alpha) dual = targets, K the Gram matrix of centred rows, never formed."""
    halves = matrix.single_precision()
    offset = targets.mean(axis=0)

    def product(values: Singles) -> Singles:
        found: Singles = halves.dot(halves.transposed_dot(values - values.mean(axis=0)))
        found += np.float32(alpha) * values - found.mean(axis=0)
        return found

    residual = (targets - offset).astype(np.float32)
    dual = np.zeros_like(residual)
    direction = residual.copy()
    length = wanted = (residual * residual).sum(axis=0)
    for _ in range(_MOST_PASSES):
        if (length <= _TOLERANCE**2 * wanted).all():
            break
        moved = product(direction)
        step = length / np.maximum((direction * moved).sum(axis=0), np.finfo(np.float32).tiny)
        dual += step * direction
        residual -= step * moved
        after = (residual * residual).sum(axis=0)
        direction = residual + after / np.maximum(length, np.finfo(np.float32).tiny) * direction
        length = after
    dual -= dual.mean(axis=0)
    weights = halves.transposed_dot(dual).astype(np.float64)
    mean = halves.dot(weights.astype(np.float32)).mean(axis=0)
    return weights, offset - mean
