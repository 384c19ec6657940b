"""Fit the network of a table as a member of a table model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.model import FitContext
from rung.modalities.tables.features import MIN_VALUE_ROWS, Cells
from rung.modalities.tables.fitted import MemberModel
from rung.training.tables.class_balance import balance_rows, shift_scores
from rung.training.tables.objective import TrainingTargets

DEFAULTS: Mapping[str, Any] = {
    "members": 16, "width": 128, "layers": 2, "frequencies": 8, "dropout": 0.1, "epochs": 60, "patience": 10,
    "learning_rate": 2e-3,
}  # fmt: skip


def fit_network(
    cells: Cells, y: TrainingTargets, settings: Mapping[str, Any], context: FitContext
) -> MemberModel:
    """Return a network. settings: those of `DEFAULTS`, `bags` (networks whose answers are averaged), `balance`."""
    from rung.training.torch.table_network import train_table_network

    balanced = balance_rows(cells.merged(MIN_VALUE_ROWS), y, settings, context.seed)
    found = train_table_network(
        balanced.cells, balanced.y, balanced.weights, {**DEFAULTS, **settings}, context
    )
    return shift_scores(found, balanced.shift)
