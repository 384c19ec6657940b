"""Fit a linear model of a table with scikit-learn: logistic regression for labels, ridge for numbers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.modalities.tables.features import Cells
from rung.modalities.tables.fitted import MemberModel
from rung.modalities.tables.linear import LinearDesign, LinearModel, is_absent
from rung.training.linear.search import per_label
from rung.training.linear.stratified import stratified_sample
from rung.training.tables.class_balance import balance_rows, shift_scores
from rung.training.tables.objective import Floats, TrainingTargets

# More rows change a linear model's weights by less than their noise.
_MAX_ROWS = 100_000
_MAX_DENSE_COLUMNS = 200
# Categories in fewer training rows share one weight.
_MIN_CATEGORY_ROWS = 5


def fit_linear(
    cells: Cells, y: TrainingTargets, settings: Mapping[str, Any], context: FitContext
) -> MemberModel:
    """Return a fitted linear model.

    settings: `c`, inverse regularisation strength; `bends`, inner knots of each number; `balance`, see
    `balance_rows`.
    """
    balanced = balance_rows(cells, y, settings, context.seed)
    cells, y, row_weights = balanced.cells, balanced.y, balanced.weights
    if len(cells) > _MAX_ROWS:
        codes = y.codes if y.codes is not None else np.zeros(len(cells), dtype=np.int64)
        rows = stratified_sample(codes, _MAX_ROWS, context.seed)
        cells, y = cells.take(rows), y.take(rows)
        row_weights = None if row_weights is None else row_weights[rows]
    design = _fit_design(cells, int(settings.get("bends", 0)))
    matrix = _matrix(design, cells)
    c = float(settings.get("c", 1.0))
    weights, bias = _ridge(matrix, y, c) if y.codes is None else _logistic(matrix, y, c, row_weights, context)
    centre = [weights[column].mean(axis=0) for column in design.places(cells).T]
    model = LinearModel(
        design,
        weights.astype(np.float32),
        bias.astype(np.float32),
        np.array(centre, dtype=np.float32).reshape(len(centre), y.outputs),
    )
    return shift_scores(model, balanced.shift)


def _matrix(design: LinearDesign, cells: Cells) -> Any:
    """Return the design matrix: dense while it is narrow, else sparse."""
    dense = design.dense(cells)
    if not design.kept:
        return dense
    from scipy.sparse import csr_matrix, hstack

    places = design.places(cells) - design.dense_width
    width = design.width - design.dense_width
    rows = np.repeat(np.arange(len(cells)), places.shape[1])
    ones = np.ones(len(rows))
    hot = csr_matrix((ones, (rows, places.ravel())), shape=(len(cells), width))
    if design.width <= _MAX_DENSE_COLUMNS:
        return np.hstack([dense, hot.toarray()])
    return hstack([csr_matrix(dense), hot], format="csr")


def _logistic(
    matrix: Any, y: TrainingTargets, c: float, row_weights: Floats | None, context: FitContext
) -> tuple[Floats, Floats]:
    """Return weights [columns, labels] and bias [labels]; a label without rows gets a bias of -10."""
    from sklearn.linear_model import LogisticRegression

    assert y.codes is not None  # noqa: S101 - numbers go to `_ridge`
    present = np.unique(y.codes)
    weights, bias = np.zeros((matrix.shape[1], y.outputs)), np.full(y.outputs, -10.0)
    if len(present) == 1:
        bias[present] = 10.0
        return weights, bias
    model = LogisticRegression(C=c, max_iter=200, tol=1e-4, random_state=context.seed)
    with warnings.catch_warnings():
        # A fit that does not converge is judged like any other, by its out-of-fold scores.
        warnings.simplefilter("ignore")
        model.fit(matrix, y.codes, sample_weight=row_weights)
    weights[:, present], bias[present] = per_label(model.coef_, model.intercept_)
    return weights, bias


def _ridge(matrix: Any, y: TrainingTargets, c: float) -> tuple[Floats, Floats]:
    from sklearn.linear_model import Ridge

    solver = "sparse_cg" if hasattr(matrix, "tocsr") else "cholesky"
    model = Ridge(alpha=1.0 / c, solver=solver, tol=1e-4).fit(matrix, y.targets)
    return np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)


def _fit_design(cells: Cells, bends: int) -> LinearDesign:
    """Return the design of training cells. bends: inner knots of each number, at its quantiles; 0 for
    straight lines.
    """
    missing = is_absent(cells.numbers)
    numbers = np.where(missing, np.nan, cells.numbers)
    width = numbers.shape[1]
    fill = np.array([_median(numbers[:, j]) for j in range(width)])
    gaps = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
    knots = np.zeros((width, 0))
    if bends and width:
        shares = np.concatenate([[0.01], np.linspace(0.0, 1.0, bends + 2)[1:-1], [0.99]])
        knots = np.array([_quantiles(numbers[:, j], shares) for j in range(width)])
    kept = tuple(_places(cells.codes[:, j], size) for j, size in enumerate(cells.sizes))
    unscaled = LinearDesign(fill, knots, gaps, np.zeros(1), np.ones(1), kept)
    raw = unscaled.unscaled(cells)
    spread = raw.std(axis=0)
    return LinearDesign(fill, knots, gaps, raw.mean(axis=0), np.where(spread > 1e-12, spread, 1.0), kept)


def _median(values: Floats) -> float:
    filled = values[~np.isnan(values)]
    return float(np.median(filled)) if len(filled) else 0.0


def _quantiles(values: Floats, shares: Floats) -> Floats:
    filled = values[~np.isnan(values)]
    return np.quantile(filled, shares) if len(filled) else np.zeros(len(shares))


def _places(codes: npt.NDArray[np.int32], size: int) -> npt.NDArray[np.int64]:
    """Return code -> position of its weight, for all `size` codes; the last position is for rare and unseen
    values.
    """
    counts = np.bincount(codes, minlength=size)
    common = np.flatnonzero(counts >= _MIN_CATEGORY_ROWS)
    places = np.full(size, len(common), dtype=np.int64)
    places[common] = np.arange(len(common))
    return places
