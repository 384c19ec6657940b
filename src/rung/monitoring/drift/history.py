"""History of the evidence of a test, downsampled to at most 200 points for a chart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rung.monitoring.drift.betting import Floats

_MAX_POINTS = 200


@dataclass
class EvidenceHistory:
    """The largest log capital of every `stride` rows. points: (rows so far, log capital)."""

    stride: int = 10
    points: list[tuple[int, float]] = field(default_factory=list)

    def add(self, evidence: Floats, start: int) -> None:
        """Add the evidence after rows start + 1, start + 2, ..."""
        for begin in range(0, len(evidence), self.stride):
            piece = evidence[begin : begin + self.stride]
            self.points.append((start + begin + len(piece), round(float(piece.max()), 4)))
        while len(self.points) > _MAX_POINTS:
            self.stride *= 2
            pairs = [self.points[i : i + 2] for i in range(0, len(self.points), 2)]
            self.points = [(pair[-1][0], float(np.max([value for _, value in pair]))) for pair in pairs]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"stride": self.stride, "points": self.points}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> EvidenceHistory:
        """Return what `as_dict` wrote."""
        return cls(raw["stride"], [(int(rows), float(value)) for rows, value in raw["points"]])
