"""Fit an Explainable Boosting Machine with interpret (Nori et al. 2019) and convert it to arrays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.model import FitContext
from rung.modalities.tables.additive import AdditiveModel, Axis, Term
from rung.modalities.tables.features import MIN_VALUE_ROWS, Cells
from rung.modalities.tables.fitted import MemberModel
from rung.training.linear.stratified import stratified_sample
from rung.training.tables.class_balance import balance_rows, shift_scores
from rung.training.tables.objective import Floats, TrainingTargets

# Cost grows with rows, columns and bags; more rows than these do not change a curve of 256 bins.
_MAX_ROWS = {0: 10_000, 1: 20_000, 2: 50_000, 3: 100_000, 4: 200_000, 5: 500_000}
_PAIRS, _MAX_COLUMNS_FOR_PAIRS = 10, 150
# Separable rows would train for 50,000 rounds; others stopped by 300.
_MAX_ROUNDS = 1_000
_ABSENT_LABEL_SCORE = -10.0


def fit_additive(
    cells: Cells, y: TrainingTargets, settings: Mapping[str, Any], context: FitContext
) -> MemberModel:
    """Return an additive model. settings: at most `pairs` of columns, `bags` fits that are averaged,
    `balance`.
    """
    balanced = balance_rows(cells, y, settings, context.seed)
    cells, y, weights = balanced.cells, balanced.y, balanced.weights
    most = _MAX_ROWS[context.effort]
    if len(cells) > most:
        codes = y.codes if y.codes is not None else np.zeros(len(cells), dtype=np.int64)
        rows = stratified_sample(codes, most, context.seed)
        cells, y = cells.take(rows), y.take(rows)
        weights = None if weights is None else weights[rows]
    cells = cells.merged(MIN_VALUE_ROWS)
    present = np.zeros(1) if y.codes is None else np.unique(y.codes)
    if y.codes is not None and len(present) == 1:
        intercept = np.where(np.arange(y.outputs) == present[0], -_ABSENT_LABEL_SCORE, _ABSENT_LABEL_SCORE)
        return AdditiveModel((), (), intercept, y.outputs)
    return shift_scores(
        _to_additive_model(_fit_ebm(cells, y, weights, settings, context), cells, y), balanced.shift
    )


def _fit_ebm(
    cells: Cells,
    y: TrainingTargets,
    weights: Floats | None,
    settings: Mapping[str, Any],
    context: FitContext,
) -> Any:
    from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor

    numbers, width = cells.numbers.shape[1], cells.numbers.shape[1] + cells.codes.shape[1]
    family = ExplainableBoostingRegressor if y.codes is None else ExplainableBoostingClassifier
    pairs = min(int(settings.get("pairs", _PAIRS)), width * (width - 1) // 2)
    model = family(
        feature_types=["continuous"] * numbers + ["nominal"] * (width - numbers),
        interactions=pairs if width <= _MAX_COLUMNS_FOR_PAIRS else 0, outer_bags=int(settings.get("bags", 1)),
        # Three times the default step in a third of its rounds; smaller steps gave no better predictions.
        learning_rate=float(settings.get("learning_rate", 0.05)), max_bins=256, max_interaction_bins=32,
        max_rounds=_MAX_ROUNDS,         n_jobs=1, random_state=context.seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        # It warns about columns with many values and about few rows; out-of-fold scores are the judge.
        warnings.simplefilter("ignore")
        rows = np.hstack([cells.numbers, cells.codes.astype(np.float64)])
        target = y.targets[:, 0] if y.codes is None else y.codes
        return model.fit(rows, target, sample_weight=weights)


def _to_additive_model(model: Any, cells: Cells, y: TrainingTargets) -> AdditiveModel:
    """Return the model's bins and tables as arrays; every pair's table has mean 0 along both of its columns."""
    axes: list[Axis] = []
    axis_of: dict[tuple[int, int], int] = {}
    intercept = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    tables: dict[tuple[int, ...], Floats] = {}

    def add(term: tuple[int, ...], table: Floats) -> None:
        tables[term] = tables[term] + table if term in tables else table

    for columns, scores, weights in zip(
        model.term_features_, model.term_scores_, model.bin_weights_, strict=True
    ):
        term = []
        for column in columns:
            levels = model.bins_[column]
            level = min(len(columns), len(levels)) - 1
            if (column, level) not in axis_of:
                axis_of[column, level] = len(axes)
                axes.append(Axis(column, _bin_table(levels[level], cells, column)))
            term.append(axis_of[column, level])
        table = np.asarray(scores, dtype=np.float64).reshape(*weights.shape, len(intercept))
        if len(term) == 1:
            add((term[0],), table)
            continue
        first, second, both, mean = purify(table, np.asarray(weights, dtype=np.float64))
        add((term[0],), first)
        add((term[1],), second)
        add((term[0], term[1]), both)
        intercept = intercept + mean
    return _expand_outputs(axes, tables, intercept, y)


def purify(table: Floats, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the parts of a pair's table: of its first column alone, of its second, of both, and the overall
    mean.

    table: [a, b, outputs]; weights: [a, b], training rows. The functional ANOVA decomposition over
    independent columns: the third part has mean 0 along each axis, the first two over their own.
    """
    total = max(float(weights.sum()), 1e-300)
    p, q = weights.sum(axis=1) / total, weights.sum(axis=0) / total
    rows, columns = np.einsum("abk,b->ak", table, q), np.einsum("abk,a->bk", table, p)
    mean = p @ rows
    return rows - mean, columns - mean, table - rows[:, None] - columns[None] + mean, mean


def _bin_table(bins: Any, cells: Cells, column: int) -> npt.NDArray[Any]:
    """Return a number's cut points, or the bin of each code of a category.

    Codes without a bin of their own, and "missing", share the bin of "other".
    """
    if not isinstance(bins, dict):
        return np.asarray(bins, dtype=np.float64)
    unknown = max(bins.values(), default=0) + 1
    bins_of_codes = np.full(cells.sizes[column - cells.numbers.shape[1]], unknown, dtype=np.int64)
    for text, axis_of in bins.items():
        bins_of_codes[int(float(text))] = axis_of
    return np.where(bins_of_codes == unknown, bins_of_codes[-2], bins_of_codes)


def _expand_outputs(
    axes: list[Axis], tables: Mapping[tuple[int, ...], Floats], intercept: Floats, y: TrainingTargets
) -> AdditiveModel:
    """Return the model with one output for each label; labels without rows get low scores."""
    if y.codes is not None and y.outputs > 2:
        present = np.unique(y.codes)
        mix = np.zeros((len(intercept), y.outputs))
        if len(present) == 2:
            mix[0, present] = -0.5, 0.5
        else:
            mix[np.arange(len(present)), present] = 1.0
        absent = np.full(y.outputs, _ABSENT_LABEL_SCORE)
        absent[present] = 0.0
        intercept = intercept @ mix + absent
        tables = {term: table @ mix for term, table in tables.items()}
    terms = tuple(Term(term, table.astype(np.float32)) for term, table in tables.items())
    return AdditiveModel(tuple(axes), terms, intercept, y.outputs)
