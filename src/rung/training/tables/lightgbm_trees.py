"""Fit boosted trees with LightGBM: deterministic, with a bounded number of threads, exported as arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.forked import usable_threads
from rung.core.model import FitContext
from rung.modalities.tables.features import Cells
from rung.modalities.tables.fitted import MemberModel
from rung.modalities.tables.tree_ensemble import TreeEnsemble, expand_binary_scores
from rung.training.tables.class_balance import BalancedRows, balance_rows, shift_scores
from rung.training.tables.objective import Floats, Ints, TrainingTargets
from rung.training.tables.target_encoding import encode_out_of_fold, fit_tree_encoding
from rung.training.tables.tree_arrays import concatenate_trees, trees_from_lightgbm

_MAX_ROUNDS = {0: 100, 1: 200, 2: 400, 3: 600, 4: 1000, 5: 1500}
_PATIENCE = 30
# Below so many cells a second thread waits more than it works.
_MIN_CELLS_FOR_THREADS = 2_000_000


@dataclass(frozen=True)
class _EarlyStopping:
    """Held-out rows that end a fit, and the least improvement of their loss that continues it."""

    rows: Any
    least: float


@dataclass(frozen=True)
class _PreparedFold:
    """One fold as LightGBM datasets."""

    train: Any
    test: npt.NDArray[np.float32]
    stop: _EarlyStopping
    shift: Floats


class TreeFolds:
    """The folds of a table, prepared once for all tree candidates. least: as in `_EarlyStopping`."""

    def __init__(
        self,
        cells: Cells,
        y: TrainingTargets,
        folds: Sequence[tuple[Ints, Ints]],
        context: FitContext,
        least: float,
    ) -> None:
        self._cells, self._y, self._folds, self._context = cells, y, folds, context
        self._least = least
        self._prepared: dict[str, list[_PreparedFold]] = {}

    def out_of_fold_scores(self, settings: Mapping[str, Any]) -> tuple[Floats, Mapping[str, Any]]:
        """Return scores of the folds' test rows, and the settings with the best number of rounds."""
        balance = str(settings.get("balance") or "none")
        if balance not in self._prepared:
            self._prepared[balance] = [self._prepare(train, test, settings) for train, test in self._folds]
        raw, rounds = [], []
        for fold in self._prepared[balance]:
            booster = _train(fold.train, self._y, settings, self._context, fold.stop)
            rounds.append(booster.best_iteration or booster.current_iteration())
            threads = _threads(fold.test.size, self._context)
            found = booster.predict(fold.test, num_iteration=rounds[-1], raw_score=True, num_threads=threads)
            raw.append(_to_outputs(found, self._y) + fold.shift)
        # All rows are more than a fold's training rows and support a few more trees.
        share = sum(len(t) for t, _ in self._folds) / len(self._folds) / len(self._cells)
        wanted = max(int(np.mean(rounds) * min(1.0 / max(share, 0.5), 1.25) + 0.5), 5)
        return np.vstack(raw), {**settings, "rounds": wanted}

    def _prepare(self, train: Ints, test: Ints, settings: Mapping[str, Any]) -> _PreparedFold:
        import lightgbm as lgb

        seed = self._context.seed
        balanced = balance_rows(self._cells.take(train), self._y.take(train), settings, seed)
        encoding = fit_tree_encoding(balanced.cells, balanced.y.targets)
        rows = encoding.rows(
            balanced.cells, encode_out_of_fold(encoding, balanced.cells, balanced.y.targets, seed)
        )
        held = encoding.rows(self._cells.take(test))
        data = _dataset(rows, balanced, self._context)
        # Held-out rows have their original label shares: scores are corrected before they stop the fit.
        offset = np.tile(balanced.shift, (len(test), 1)) if balanced.shift.any() else None
        if offset is not None and self._y.outputs == 2:
            offset = offset[:, 1] - offset[:, 0]
        valid = lgb.Dataset(
            held, _label(self._y.take(test)), reference=data, init_score=offset, free_raw_data=False
        )
        return _PreparedFold(data, held, _EarlyStopping(valid, self._least), balanced.shift)


def fit_trees(
    cells: Cells, y: TrainingTargets, settings: Mapping[str, Any], context: FitContext
) -> MemberModel:
    """Return trees fitted on all rows.

    settings: as returned by `TreeFolds.out_of_fold_scores`; `bags` is the number of fits that are averaged.
    """
    balanced = balance_rows(cells, y, settings, context.seed)
    cells, y = balanced.cells, balanced.y
    encoding = fit_tree_encoding(cells, y.targets)
    rows = encoding.rows(cells, encode_out_of_fold(encoding, cells, y.targets, context.seed))
    bags = int(settings.get("bags", 1))
    parts = []
    model_outputs = 1 if y.codes is None or y.outputs == 2 else y.outputs
    for bag in range(bags):
        booster = _train(_dataset(rows, balanced, context), y, {**settings, "bag": bag}, context, None)
        parts.append(trees_from_lightgbm(booster.dump_model(), model_outputs, 1.0 / bags))
    return shift_scores(TreeEnsemble(encoding, concatenate_trees(parts), y.outputs), balanced.shift)


def _train(
    data: Any,
    y: TrainingTargets,
    settings: Mapping[str, Any],
    context: FitContext,
    stop: _EarlyStopping | None,
) -> Any:
    # Spinning threads take the cores from working ones: 54 s instead of 0.06 s was measured.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import lightgbm as lgb

    own = {k: v for k, v in settings.items() if k not in {"rounds", "bags", "bag", "balance"}}
    cells = data.num_data() * data.num_feature() if data._handle else 0
    params = {
        "objective": "regression" if y.codes is None else "binary" if y.outputs == 2 else "multiclass",
        "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 20, "lambda_l2": 5.0,
        "bagging_freq": 1, "feature_fraction": 0.6, "min_data_in_bin": 3, "max_bin": 255, "feature_pre_filter": False,
        "verbosity": -1, "deterministic": True, "force_row_wise": True, "boost_from_average": True,
        "num_threads": _threads(cells, context),
        "seed": context.seed + 101 * int(settings.get("bag", 0)) + 1, **own,
    }  # fmt: skip
    if params["objective"] == "multiclass":
        params["num_class"] = y.outputs
    rounds = int(settings.get("rounds", _MAX_ROUNDS[context.effort]))
    if stop is None:
        return lgb.train(params, data, rounds)
    patience = lgb.early_stopping(_PATIENCE, verbose=False, min_delta=stop.least)
    return lgb.train(params, data, rounds, valid_sets=[stop.rows], callbacks=[patience])


def _threads(cells: int, context: FitContext) -> int:
    """Return how many threads LightGBM may use; one in a forked process."""
    return usable_threads(context.threads) if cells > _MIN_CELLS_FOR_THREADS else 1


def _dataset(rows: npt.NDArray[np.float32], balanced: BalancedRows, context: FitContext) -> Any:
    import lightgbm as lgb

    params = {
        "feature_pre_filter": False, "min_data_in_bin": 3, "max_bin": 255, "verbosity": -1,
        "num_threads": _threads(rows.size, context),
    }  # fmt: skip
    return lgb.Dataset(
        rows, _label(balanced.y), weight=balanced.weights, params=params, free_raw_data=False
    ).construct()


def _label(y: TrainingTargets) -> Floats | Ints:
    return y.targets[:, 0] if y.codes is None else y.codes


def _to_outputs(found: Any, y: TrainingTargets) -> Floats:
    raw = np.asarray(found, dtype=np.float64)
    return expand_binary_scores(raw[:, None] if raw.ndim == 1 else raw, y.outputs)
