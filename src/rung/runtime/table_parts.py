"""What a fit of a table leaves: features, parts, weights, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.runtime.additive_part import AdditivePart
from rung.runtime.decisions import Decision
from rung.runtime.linear_head import Calibration
from rung.runtime.linear_part import LinearPart
from rung.runtime.number_scale import NumberScale
from rung.runtime.table_features import TableFeatures
from rung.runtime.tree_part import TreePart

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
