"""Ridge regression with an unpenalised intercept, for all targets at once.

Few rows: their Gram matrix is solved directly, in dual form. Many rows of few dense features and many targets: the normal
equations of the features. Many rows of many features: conjugate gradients, which need only products with the features: about thirty passes,
whatever the number of targets (Hestenes & Stiefel 1952; Saunders et al. 1998 for the dual).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rung.training.linear.feature_matrix import FeatureMatrix

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
# Up to this many rows the Gram matrix is computed: 200 MB.
DUAL_ROWS = 5_000
# Relative to the norm of the residual: a smaller tolerance changed no label of the benchmark datasets.
_TOLERANCE = 3e-3
_MAX_ITERATIONS = 300
# Passes of conjugate gradients, there and back, that the normal equations cost no more than, by the features and the targets.
_PASSES = 60
# Up to this many dense features the matrix of the normal equations is computed: 72 MB. It is summed over so many rows at a time.
_PRIMAL_FEATURES, _ROWS_AT_ONCE = 3_000, 4_096


def ridge(
    matrix: FeatureMatrix,
    targets: Floats,
    alpha: float,
    by_row: Floats | None = None,
    gram: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return (weights [features, targets], bias [targets]) minimising squared error + alpha * squared
    weights.

    targets: [rows, targets]. by_row: row weights, 1 on average; None: all equal. gram: that of the matrix, where known.
    """
    if len(targets) <= DUAL_ROWS:
        dual, bias = dual_ridge(matrix.gram() if gram is None else gram, targets, alpha, by_row)
        return matrix.transposed_dot(dual), bias
    by_row = np.ones(len(targets)) if by_row is None else by_row
    if matrix.is_dense and matrix.shape[1] <= min(_PRIMAL_FEATURES, _PASSES * targets.shape[1]):
        return _normal_equations(matrix, targets, alpha, by_row)
    return _conjugate_gradients(matrix, targets, alpha, by_row)


def dual_ridge(
    gram: Floats, targets: Floats, alpha: float, by_row: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return (dual coefficients [rows, targets], bias) from a Gram matrix [rows, rows].

    by_row: row weights; means are then weighted, and alpha is divided by each weight.
    """
    from scipy.linalg import solve

    share = np.full(len(gram), 1.0 / len(gram)) if by_row is None else by_row / by_row.sum()
    mean = share @ gram
    centred = gram - mean - mean[:, None] + share @ mean
    centred[np.diag_indices_from(centred)] += alpha if by_row is None else alpha / by_row
    offset = share @ targets
    dual = solve(centred, targets - offset, assume_a="pos", overwrite_a=True, check_finite=False)
    # Dual coefficients of centred targets sum to zero, so centring the features does not change the weights.
    return dual, offset - mean @ dual


def _normal_equations(
    matrix: FeatureMatrix, targets: Floats, alpha: float, by_row: Floats
) -> tuple[Floats, Floats]:
    """Return what `ridge` does: solve (X'WX + alpha) weights = X'Wy for centred features X and row weights W."""
    from scipy.linalg import solve

    features = matrix.shape[1]
    share = by_row / by_row.sum()
    offset = share @ targets
    mean = np.concatenate([share @ block for block in matrix.blocks]).astype(np.float64)
    products = np.zeros((features, features))
    moments = np.zeros((features, targets.shape[1]))
    for begin in range(0, len(targets), _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        centred = np.hstack([block[rows] for block in matrix.blocks]).astype(np.float64) - mean
        weighted = centred * by_row[rows, None]
        products += weighted.T @ centred
        moments += weighted.T @ (targets[rows] - offset)
    products[np.diag_indices_from(products)] += alpha
    weights = solve(products, moments, assume_a="pos", overwrite_a=True, check_finite=False)
    return weights, offset - mean @ weights


def _conjugate_gradients(
    matrix: FeatureMatrix, targets: Floats, alpha: float, by_row: Floats
) -> tuple[Floats, Floats]:
    """Return what `ridge` does: solve (K + alpha / by_row) dual = targets, K the Gram matrix of centred rows,
    never computed.
    """
    halves = matrix.single_precision()
    share = (by_row / by_row.sum()).astype(np.float32)
    penalty = (alpha / by_row).astype(np.float32)[:, None]
    offset = share @ targets

    def product(values: Singles) -> Singles:
        centred = values - share[:, None] * values.sum(axis=0)
        found: Singles = halves.dot(halves.transposed_dot(centred))
        found += penalty * values - share @ found
        return found

    residual = (targets - offset).astype(np.float32)
    dual = np.zeros_like(residual)
    direction = residual.copy()
    length = wanted = (residual * residual).sum(axis=0)
    for _ in range(_MAX_ITERATIONS):
        if (length <= _TOLERANCE**2 * wanted).all():
            break
        moved = product(direction)
        step = length / np.maximum((direction * moved).sum(axis=0), np.finfo(np.float32).tiny)
        dual += step * direction
        residual -= step * moved
        after = (residual * residual).sum(axis=0)
        direction = residual + after / np.maximum(length, np.finfo(np.float32).tiny) * direction
        length = after
    dual -= share[:, None] * dual.sum(axis=0)
    weights = halves.transposed_dot(dual).astype(np.float64)
    return weights, offset - share @ halves.dot(weights.astype(np.float32))
