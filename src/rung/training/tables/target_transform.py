"""Fit the transform of a numeric target, and conformal intervals around predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rung.core.stats.outliers import range_without_outliers
from rung.modalities.tables.target_transform import COVERAGE, TargetTransform
from rung.training.tables.objective import Floats


def fit_target_transform(values: Floats) -> TargetTransform:
    """Return the transform of training targets: logarithmic where they are positive and much less skewed that
    way.
    """
    low, high = range_without_outliers(values)
    logarithmic = low > 0 and _less_skewed_as_log(np.clip(values, low, high))
    if logarithmic and values.min() > 0:
        low, high = map(float, np.exp(range_without_outliers(np.log(values))))
    kept = np.clip(values, low, high)
    learned = np.log(kept) if logarithmic else kept
    spread = float(learned.std()) or 1.0
    return TargetTransform(logarithmic, 0.0, float(learned.mean()), spread, 1.0, 0.0, low, high)


def calibrate_interval(fitted: TargetTransform, raw: Floats, values: Floats) -> TargetTransform:
    """Return the transform with interval and smearing factor set from out-of-fold predictions.

    Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): the ceil((n + 1) * coverage)-th smallest
    absolute residual covers the next row with at least that probability if rows are exchangeable and the
    residuals are those of the final model. Here they come from fits on part of the rows, slightly worse than
    the final fit: the cross-validated form (Barber et al. 2021, CV+), whose guarantee is 2 * coverage - 1; in
    practice coverage is close to nominal, as tests on real data check.
    """
    residuals = np.sort(np.abs(fitted.transform(values) - raw))
    rank = int(np.ceil((len(residuals) + 1) * COVERAGE))
    radius = float(residuals[min(rank, len(residuals)) - 1]) if len(residuals) else 0.0
    smear = 1.0
    if fitted.logarithmic:
        uncorrected = fitted.inverse_uncorrected(raw)
        smear = (
            float(np.clip(values.mean() / uncorrected.mean(), 0.8, 1.25)) if uncorrected.mean() > 0 else 1.0
        )
    return replace(fitted, radius=radius, smear=smear)


def _less_skewed_as_log(values: Floats) -> bool:
    return abs(_skew(values)) > 1.0 and abs(_skew(np.log(values))) < 0.5 * abs(_skew(values))


def _skew(values: Floats) -> float:
    spread = values.std()
    return float((((values - values.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
