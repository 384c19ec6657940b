"""The scale that a number is learned on, and intervals around answers that hold as often as they say."""

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
    """logarithmic: learned as log(y + offset). shift, spread: of the learned numbers. smear: what answers on the
    logarithmic scale are multiplied by, so that they are right on average. radius: half the interval's width there.
    low, high: the range of the training targets, which answers do not leave by more than its width."""

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
        """Return what one step on the learned scale is worth: in the target's units, or as a share."""
        return self.spread

    def transform(self, values: Floats) -> Floats:
        """Return targets on the scale that parts are fitted to."""
        found = np.log(values + self.offset) if self.logarithmic else values
        return (found - self.shift) / self.spread

    def inverse_transform(self, raw: Floats) -> Floats:
        """Return answers in the target's units."""
        return (
            self._inverse_uncorrected(raw) * self.smear
            if self.logarithmic
            else self._inverse_uncorrected(raw)
        )

    def _inverse_uncorrected(self, raw: Floats) -> Floats:
        wide = self.high - self.low
        found = raw * self.spread + self.shift
        if self.logarithmic:
            found = np.exp(np.clip(found, -700, 700)) - self.offset
        return np.clip(found, self.low - wide, self.high + wide)

    def predictions(self, raw: Floats, by: str) -> list[Prediction]:
        """Return one prediction a row, with the ends of its interval."""
        values, lows, highs = (
            self.inverse_transform(raw),
            self._inverse_uncorrected(raw - self.radius),
            self._inverse_uncorrected(raw + self.radius),
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


def fit_target_transform(values: Floats) -> TargetTransform:
    """Return the scale of training targets: logarithmic where they are positive and far more even that way."""
    offset, logarithmic = 0.0, False
    if values.min() > 0:
        logarithmic = abs(_skew(values)) > 1.0 and abs(_skew(np.log(values))) < 0.5 * abs(_skew(values))
    learned = np.log(values + offset) if logarithmic else values
    spread = float(learned.std()) or 1.0
    ends = float(values.min()), float(values.max())
    return TargetTransform(logarithmic, offset, float(learned.mean()), spread, 1.0, 0.0, *ends)


def calibrate_interval(scale: TargetTransform, raw: Floats, values: Floats) -> TargetTransform:
    """Return the scale with its interval and its mean set right, from answers out of fold.

    Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): the ceil((n + 1) * coverage)-th smallest absolute
    residual covers the next row with at least that chance if rows are exchangeable and the residuals are of models
    like the final one. Ours are of fits on a part of the rows, a little worse than the final fit: the cross-validation
    form (Barber et al. 2021, CV+) whose guarantee is 2 * coverage - 1, and close to coverage in practice; tested on
    real data.
    """
    residuals = np.sort(np.abs(scale.transform(values) - raw))
    rank = int(np.ceil((len(residuals) + 1) * COVERAGE))
    radius = float(residuals[min(rank, len(residuals)) - 1]) if len(residuals) else 0.0
    smear = 1.0
    if scale.logarithmic:
        told = scale._inverse_uncorrected(raw)
        smear = float(np.clip(values.mean() / told.mean(), 0.8, 1.25)) if told.mean() > 0 else 1.0
    return TargetTransform(**{**asdict(scale), "radius": radius, "smear": smear})


def _skew(values: Floats) -> float:
    spread = values.std()
    return float((((values - values.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
