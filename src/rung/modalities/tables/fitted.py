"""What a fit of a table leaves: features, parts, weights, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.modalities.tables.additive import AdditivePart
from rung.modalities.tables.features import TableFeatures
from rung.modalities.tables.linear import LinearPart
from rung.modalities.tables.target_transform import NumberScale
from rung.modalities.tables.tree_ensemble import TreePart
from rung.runtime.classification.decision_threshold import Decision
from rung.runtime.linear.head import Calibration

Part = LinearPart | TreePart | AdditivePart


@dataclass(frozen=True)
class TableParts:
    """What a fit leaves. weights: of each part, adding up to 1. calibration and decision: of labels; scale: of numbers."""

    features: TableFeatures
    parts: tuple[Part, ...]
    weights: tuple[float, ...]
    calibration: Calibration
    decision: Decision
    scale: NumberScale
    chosen: Mapping[str, Any]
