"""Calibrate a classifier's scores: temperature scaling or isotonic regression, chosen out of fold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rung.runtime.linear.head import Calibration
from rung.training.linear.stratified import stratified_folds

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def calibrate(
    scores: Floats, codes: Ints, seed: int, allow_isotonic: bool = True, conservative: bool = False
) -> Calibration:
    """Return the calibration with the lower log loss on rows it was not fitted on (two halves, swapped).

    allow_isotonic: whether isotonic curves may be chosen; temperature scaling never changes the most likely
    label. conservative: temperature scaling uses Platt's targets, see `_fit_temperature`, and isotonic curves
    must gain more than twice the standard error: their steps to 0 and 1 cost most where the final model,
    fitted on more rows, is more confident.
    """
    temperature = _fit_temperature(scores, codes, conservative)
    counts = np.bincount(codes, minlength=scores.shape[1])
    if not allow_isotonic or counts.min() < 30 or len(codes) < 200:
        return temperature  # Steps through a handful of rows would overfit.
    halves = stratified_folds(codes, 2, seed)
    one, curve = (
        np.concatenate([_losses(fit(scores[a], codes[a]).apply(scores[b]), codes[b]) for a, b in halves])
        for fit in (_fit_temperature, _fit_isotonic)
    )
    gain = one - curve
    least = 2.0 * gain.std() / np.sqrt(len(gain)) if conservative else 0.0
    return _fit_isotonic(scores, codes) if gain.mean() > least else temperature


def _fit_temperature(scores: Floats, codes: Ints, platt_targets: bool = False) -> Calibration:
    """Return the temperature that minimises log loss: golden-section search over its logarithm.

    platt_targets: targets slightly below 1 where a label has few rows (Platt 1999). When nearly all rows are
    predicted correctly, the plain loss would ask for more confidence than so few rows support.
    """
    low, high = np.log(1e-2), np.log(1e3)
    ratio = (np.sqrt(5.0) - 1) / 2
    wrong = 1.0 / (np.bincount(codes, minlength=scores.shape[1]) + 2.0)[codes]

    def loss(log_scale: float) -> float:
        found = Calibration(scale=float(np.exp(log_scale))).apply(scores)
        if not platt_targets:
            return _log_loss(found, codes)
        log_probabilities = np.log(np.maximum(found, 1e-12))
        own = log_probabilities[np.arange(len(codes)), codes]
        others = (log_probabilities.sum(axis=1) - own) / max(scores.shape[1] - 1, 1)
        return float(-((1 - wrong) * own + wrong * others).mean())

    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    # Without errors the optimum is infinite; this bound keeps the scale finite.
    return Calibration(scale=float(min(np.exp((low + high) / 2), 100.0)))


def _fit_isotonic(scores: Floats, codes: Ints) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    temperature = _fit_temperature(scores, codes)
    raw, knots = temperature.apply(scores), []
    for label in range(scores.shape[1]):
        curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
            raw[:, label], codes == label
        )
        knots.append(
            (np.asarray(curve.X_thresholds_, np.float64), np.asarray(curve.y_thresholds_, np.float64))
        )
    return Calibration("isotonic", temperature.scale, tuple(knots))


def _losses(probabilities: Floats, codes: Ints) -> Floats:
    return np.asarray(-np.log(np.maximum(probabilities[np.arange(len(codes)), codes], 1e-12)))


def _log_loss(probabilities: Floats, codes: Ints) -> float:
    return float(_losses(probabilities, codes).mean())
