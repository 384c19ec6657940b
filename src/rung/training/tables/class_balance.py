"""Imbalanced labels: weight rows or undersample, then correct scores to the original label shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.features import Cells
from rung.modalities.tables.fitted import MemberModel
from rung.modalities.tables.linear import LinearModel
from rung.modalities.tables.network import TableNetwork
from rung.modalities.tables.tree_ensemble import TreeEnsemble
from rung.runtime.linear.head import Calibration
from rung.training.tables.objective import Floats, Ints, TrainingTargets
from rung.training.tables.tree_arrays import shift_outputs

# After undersampling, a label keeps at most this many rows for each row of the rarest one, and at least the
# minimum.
_MAX_RATIO, _MIN_ROWS = 20, 2_000
# A label with a smaller share of the rows is rare: balancing is then worth trying.
RARE_SHARE = 0.05


@dataclass(frozen=True)
class BalancedRows:
    """Rows to fit on, their weights (None: all equal), and the correction to add to the scores of such a fit:
    [outputs].

    A model of log odds fitted where label k has w_k times its share in the data is too high by log w_k for k,
    and by nothing else (King & Zeng 2001, prior correction): subtracting it gives the probabilities of the
    data. Remaining bias is left to calibration, which sees held-out rows with their original shares.
    """

    cells: Cells
    y: TrainingTargets
    weights: Floats | None
    shift: Floats


def balance_rows(cells: Cells, y: TrainingTargets, settings: Mapping[str, Any], seed: int) -> BalancedRows:
    """Return the rows to fit on. settings: `balance` is "none", "weights" or "thin" (undersampling).

    Numbers, and data with a single label, are returned unchanged.
    """
    kind = settings.get("balance") or "none"
    plain = BalancedRows(cells, y, None, np.zeros(y.outputs))
    if kind == "none" or y.codes is None:
        return plain
    counts = np.bincount(y.codes, minlength=y.outputs).astype(np.float64)
    present = counts > 0
    if present.sum() < 2:
        return plain
    if kind == "weights":
        each = np.where(present, len(y.codes) / (present.sum() * np.maximum(counts, 1)), 1.0)
        return BalancedRows(cells, y, each[y.codes], _centre(-np.log(each), present))
    most = max(_MAX_RATIO * counts[present].min(), _MIN_ROWS)
    share = np.minimum(most / np.maximum(counts, 1), 1.0)
    rng = np.random.default_rng(seed)
    owns = [np.flatnonzero(y.codes == label) for label in range(y.outputs)]
    kept = np.sort(
        np.concatenate([own if len(own) <= most else rng.permutation(own)[: int(most)] for own in owns])
    )
    # Undersampled labels get scores too low by log share.
    return BalancedRows(cells.take(kept), y.take(kept), None, _centre(-np.log(share), present))


def shift_scores(model: MemberModel, shift: Floats) -> MemberModel:
    """Return the model with `shift` [outputs] added to its raw scores."""
    if not shift.any():
        return model
    if isinstance(model, LinearModel):
        return replace(model, bias=(model.bias + shift).astype(np.float32))
    if isinstance(model, TableNetwork):
        return replace(model, shift=model.shift + shift)
    # A single output for two labels shifts by their difference.
    width = model.trees.outputs if isinstance(model, TreeEnsemble) else len(model.intercept)
    own = shift[1:] - shift[:1] if width < model.outputs else shift
    if isinstance(model, TreeEnsemble):
        return replace(model, trees=shift_outputs(model.trees, own))
    return replace(model, intercept=model.intercept + own)


def prior_shift(raw: Floats, codes: Ints, scale: float) -> Floats:
    """Return what to add to scores so that mean probabilities equal the label shares: [outputs], mean 0.

    raw: out-of-fold scores of rows with their original shares. The prior correction is exact for a correct
    model only: a penalty has less effect on heavier rows, which leaves a difference for some labels.
    """
    shares = np.bincount(codes, minlength=raw.shape[1]) / max(len(codes), 1)
    present = shares > 0
    shift = np.zeros(raw.shape[1])
    for _ in range(50):
        predicted = Calibration(scale=scale).apply(raw + shift).mean(axis=0)
        step = np.where(
            present, np.log(np.maximum(shares, 1e-12) / np.maximum(predicted, 1e-12)) / scale, 0.0
        )
        shift += step
        if np.abs(step).max() < 1e-6:
            break
    return _centre(shift, present)


def rarest_share(y: TrainingTargets) -> float:
    """Return the share of the rarest label; 1.0 for numbers."""
    if y.codes is None:
        return 1.0
    return float(np.bincount(y.codes, minlength=y.outputs).min() / max(len(y.codes), 1))


def _centre(shift: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    """Return the shift with mean 0 over labels with rows: only differences between labels change
    probabilities.
    """
    return np.where(present, shift - shift[present].mean(), 0.0)
