"""Fit the linear model that turns a column of free text into scores of the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rung.modalities.tables.text_feature import TextScorer
from rung.modalities.text.ngrams import NgramSpec, normalize_text
from rung.modalities.text.tfidf import fit_block
from rung.training.tables.objective import Floats, Folds

# Words and pairs of words (an ideograph is a word); characters help with short codes and word endings.
_SPEC = NgramSpec(2, 2, 4)
_MAX_FEATURES = 30_000
_ALPHA = 1.0


def fit_text_scorer(texts: Sequence[Any], targets: Floats, folds: Folds) -> tuple[TextScorer, Floats]:
    """Return the scorer of a column, and out-of-fold scores of its training rows.

    targets: [rows, outputs], with a standard deviation of about 1. A model fitted on scores of rows that the
    scorer had seen would overfit to them.
    """
    folded = [normalize_text(str(text or "")) for text in texts]
    block, rows = fit_block(folded, _SPEC, 2 if len(texts) > 200 else 1, _MAX_FEATURES, 1.0)
    matrix = _to_csr(rows)
    out_of_fold = np.zeros(targets.shape)
    for train, test in folds:
        weights, bias = _fit_ridge(matrix[train], targets[train])
        out_of_fold[test] = matrix[test] @ weights + bias
    weights, bias = _fit_ridge(matrix, targets)
    return TextScorer(block, weights.astype(np.float32), bias.astype(np.float32)), out_of_fold


def _to_csr(rows: Any) -> Any:
    from scipy.sparse import csr_matrix

    shape = (len(rows), max(rows.width, 1))
    return csr_matrix((rows.values.astype(np.float64), rows.columns, rows.starts), shape=shape)


def _fit_ridge(matrix: Any, targets: Floats) -> tuple[Floats, Floats]:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=_ALPHA, solver="sparse_cg", tol=1e-3).fit(matrix, targets)
    weights = np.atleast_2d(model.coef_)
    return weights.T, np.atleast_1d(model.intercept_)
