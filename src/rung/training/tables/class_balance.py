"""Labels that are rare: rows weighted, or the common ones thinned, and the scores put back to the data's own shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.tables.features import Cells
from rung.modalities.tables.fitted import MemberModel
from rung.modalities.tables.linear import LinearModel
from rung.modalities.tables.tree_ensemble import TreeEnsemble
from rung.runtime.linear.head import Calibration
from rung.training.tables.objective import Floats, Ints, TrainingTargets
from rung.training.tables.tree_arrays import shift_outputs

# Thinned, a label keeps at most so many rows for one of the rarest, and never fewer than these in all.
_MAX_RATIO, _MIN_ROWS = 20, 2_000
# A label in a smaller share of the rows than this is rare: weighting is then worth a try.
RARE_SHARE = 0.05


@dataclass(frozen=True)
class BalancedRows:
    """Rows to fit on, the weight of each (None: all alike), and what to add to the scores of such a fit: [outputs].

    A model of log odds fitted where label k weighs w_k times what it does in the data says log w_k too much of k, and
    nothing else (King & Zeng 2001, prior correction): taking it away gives back the data's probabilities. Whatever is
    left of the bias is the calibration's, which sees answers to unseen rows in their own shares.
    """

    cells: Cells
    goal: TrainingTargets
    weights: Floats | None
    shift: Floats


def balance_rows(cells: Cells, goal: TrainingTargets, settings: Mapping[str, Any], seed: int) -> BalancedRows:
    """Return the rows as a fit should see them. settings: `balance` "none", "weights" or "thin".

    Numbers, and labels of one kind, have nothing to balance.
    """
    kind = settings.get("balance") or "none"
    plain = BalancedRows(cells, goal, None, np.zeros(goal.outputs))
    if kind == "none" or goal.codes is None:
        return plain
    counts = np.bincount(goal.codes, minlength=goal.outputs).astype(np.float64)
    present = counts > 0
    if present.sum() < 2:
        return plain
    if kind == "weights":
        each = np.where(present, len(goal.codes) / (present.sum() * np.maximum(counts, 1)), 1.0)
        return BalancedRows(cells, goal, each[goal.codes], _centre(-np.log(each), present))
    most = max(_MAX_RATIO * counts[present].min(), _MIN_ROWS)
    share = np.minimum(most / np.maximum(counts, 1), 1.0)
    rng = np.random.default_rng(seed)
    owns = [np.flatnonzero(goal.codes == label) for label in range(goal.outputs)]
    kept = np.sort(
        np.concatenate([own if len(own) <= most else rng.permutation(own)[: int(most)] for own in owns])
    )
    # Fewer of label k: the fit says log share too little of it.
    return BalancedRows(cells.take(kept), goal.take(kept), None, _centre(-np.log(share), present))


def shift_scores(part: MemberModel, shift: Floats) -> MemberModel:
    """Return the part with scores higher by `shift`, [outputs]."""
    if not shift.any():
        return part
    if isinstance(part, LinearModel):
        return replace(part, bias=(part.bias + shift).astype(np.float32))
    # One output that speaks for two labels rises by their difference.
    width = part.trees.outputs if isinstance(part, TreeEnsemble) else len(part.intercept)
    own = shift[1:] - shift[:1] if width < part.outputs else shift
    if isinstance(part, TreeEnsemble):
        return replace(part, trees=shift_outputs(part.trees, own))
    return replace(part, intercept=part.intercept + own)


def prior_shift(raw: Floats, codes: Ints, scale: float) -> Floats:
    """Return what to add to scores so that, on average, probabilities are the labels' shares: [outputs], mean 0.

    raw: scores out of fold, of rows in their own shares. The prior correction is exact for a model that is right; a
    penalty that weighs less against heavier rows is not, and the difference is that of a few labels' shares.
    """
    shares = np.bincount(codes, minlength=raw.shape[1]) / max(len(codes), 1)
    present = shares > 0
    shift = np.zeros(raw.shape[1])
    for _ in range(50):
        said = Calibration(scale=scale).apply(raw + shift).mean(axis=0)
        step = np.where(present, np.log(np.maximum(shares, 1e-12) / np.maximum(said, 1e-12)) / scale, 0.0)
        shift += step
        if np.abs(step).max() < 1e-6:
            break
    return _centre(shift, present)


def rarest_share(goal: TrainingTargets) -> float:
    """Return the share of the rarest label; 1.0 for numbers."""
    if goal.codes is None:
        return 1.0
    return float(np.bincount(goal.codes, minlength=goal.outputs).min() / max(len(goal.codes), 1))


def _centre(shift: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    """Return the shift with mean 0: only differences between labels move probabilities. A label without rows stays."""
    return np.where(present, shift - shift[present].mean(), 0.0)
