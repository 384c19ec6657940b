"""Transform of a numeric target, and prediction intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.types import Prediction

Floats = npt.NDArray[np.float64]
COVERAGE = 0.9


@dataclass(frozen=True)
class TargetTransform:
    """Scale on which a numeric target is learned.

    logarithmic: learned as log(y + offset). shift, spread: mean and standard deviation of the learned values.
    smear: factor that makes predictions on the logarithmic scale right on average (Duan 1983). radius: half
    the width of the prediction interval, on the learned scale. low, high: range of the training targets;
    predictions leave it by at most its width.
    """

    logarithmic: bool = False
    offset: float = 0.0
    shift: float = 0.0
    spread: float = 1.0
    smear: float = 1.0
    radius: float = 0.0
    low: float = 0.0
    high: float = 0.0

    @property
    def unit(self) -> float:
        """Return the size of one step on the learned scale: in the target's units, or as a share on a
        logarithmic scale.
        """
        return self.spread

    def transform(self, values: Floats) -> Floats:
        """Return targets on the learned scale."""
        found = np.log(values + self.offset) if self.logarithmic else values
        return (found - self.shift) / self.spread

    def inverse_transform(self, raw: Floats) -> Floats:
        """Return predictions in the target's units."""
        return (
            self.inverse_uncorrected(raw) * self.smear if self.logarithmic else self.inverse_uncorrected(raw)
        )

    def inverse_uncorrected(self, raw: Floats) -> Floats:
        """Return predictions in the target's units, without the smearing factor."""
        wide = self.high - self.low
        found = raw * self.spread + self.shift
        if self.logarithmic:
            found = np.exp(np.clip(found, -700, 700)) - self.offset
        return np.clip(found, self.low - wide, self.high + wide)

    def predictions(self, raw: Floats, by: str) -> list[Prediction]:
        """Return one prediction a row, with the ends of its interval."""
        values, lows, highs = (
            self.inverse_transform(raw),
            self.inverse_uncorrected(raw - self.radius),
            self.inverse_uncorrected(raw + self.radius),
        )
        return [
            Prediction(value, None, answered_by=by, extra={"low": min(low, value), "high": max(high, value)})
            for value, low, high in zip(values.tolist(), lows.tolist(), highs.tolist(), strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> TargetTransform:
        return TargetTransform(**raw)
