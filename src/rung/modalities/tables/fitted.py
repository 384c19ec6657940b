"""The fitted parts of a table model: features, member models, weights, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.modalities.tables.additive import AdditiveModel
from rung.modalities.tables.features import TableFeatures
from rung.modalities.tables.linear import LinearModel
from rung.modalities.tables.network import TableNetwork
from rung.modalities.tables.target_transform import TargetTransform
from rung.modalities.tables.tree_ensemble import TreeEnsemble
from rung.runtime.classification.decision_threshold import DecisionThreshold
from rung.runtime.linear.head import Calibration

MemberModel = LinearModel | TreeEnsemble | AdditiveModel | TableNetwork


@dataclass(frozen=True)
class FittedTable:
    """weights: of the members, summing to 1. calibration and decision: for labels. target_transform: for
    numbers. chosen: what the fit chose, for report and card.
    """

    features: TableFeatures
    members: tuple[MemberModel, ...]
    weights: tuple[float, ...]
    calibration: Calibration
    decision: DecisionThreshold
    target_transform: TargetTransform
    chosen: Mapping[str, Any]
