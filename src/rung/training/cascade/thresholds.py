"""Choose when a stage hands on: by which signal, and below which score, on rows that no stage has learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.runtime.cascade.hand_on import SIGNALS, Floats, HandOn, Signal, features, scores

Bools = npt.NDArray[np.bool_]
# Strength of the ridge that predicts the benefit, and the parts it is cross-fitted in.
_RIDGE, _PARTS = 10.0, 5
# Of fewer rows the benefit is not learned, where there is another signal: it handed on a fifth of 100 training rows and no new one.
_BENEFIT_ROWS, _ROWS_PER_FEATURE = 200, 10


@dataclass(frozen=True)
class Choice:
    """What was chosen for one stage. accuracy: of this stage and those behind it. handed: share of rows handed on.

    tried: signal -> handed share that it needs for the same accuracy.
    """

    rule: HandOn
    accuracy: float
    handed: float
    tried: dict[str, float]


def choose(
    probabilities: Floats, own: Bools, later: Bools, within: float, signals: tuple[Signal, ...] = SIGNALS
) -> Choice:
    """Return the rule that hands on the fewest rows with an accuracy at most `within` below that of handing on all.

    probabilities: of this stage, [rows, labels]. own, later: whether this stage, and what lies behind it, is right on
    each row. Of two signals that hand on equally many, the one with the higher accuracy wins.
    """
    found = []
    if len(signals) > 1 and len(own) < _BENEFIT_ROWS + _ROWS_PER_FEATURE * features(probabilities).shape[1]:
        signals = tuple(signal for signal in signals if signal != "benefit")
    gains = later.astype(np.float64) - own
    for signal in signals:
        weights = _benefit_weights(probabilities, gains) if signal == "benefit" else np.zeros(0)
        kept_for = (
            _cross_fitted(probabilities, gains)
            if signal == "benefit"
            else scores(signal, probabilities, weights)
        )
        threshold, handed, accuracy = _threshold(kept_for, own, later, within)
        if signal == "benefit":
            # Scores by the weights that ship spread otherwise than those by weights of other rows: the share is what carries over.
            threshold = _threshold_at(
                np.sort(scores(signal, probabilities, weights)), round(handed * len(own))
            )
        found.append((handed, -accuracy, HandOn(signal, threshold, tuple(map(float, weights)))))
    handed, accuracy, rule = min(found, key=lambda each: each[:2])
    return Choice(rule, -accuracy, handed, {each[2].signal: each[0] for each in found})


def _threshold(kept_for: Floats, own: Bools, later: Bools, within: float) -> tuple[float, float, float]:
    """Return the lowest threshold from which on nothing loses too much, the share handed on and the accuracy.

    Every number of handed rows is tried, the lowest scores first; equal scores go together. The loss over the number of rows is a
    walk with noise: where it first falls below `within` chance has helped, and new rows lose a third more. So the last place where it
    does is taken: handing on more never lost more.
    """
    order = np.argsort(kept_for, kind="stable")
    right = np.concatenate([[own.sum()], own.sum() + np.cumsum(later[order].astype(np.int64) - own[order])])
    goal = later.sum() - within * len(own)
    ordered = kept_for[order]
    # After so many rows the score rises: a threshold can lie there.
    edges = np.concatenate([[0], np.flatnonzero(np.diff(ordered) > 0) + 1, [len(ordered)]])
    lost = np.flatnonzero(right[edges] < goal)
    handed = int(edges[lost[-1] + 1]) if len(lost) else 0
    count = max(len(own), 1)
    return _threshold_at(ordered, handed), handed / count, float(right[handed]) / count


def _threshold_at(ordered: Floats, handed: int) -> float:
    """Return the threshold below which so many of these ascending scores lie."""
    if handed == 0:
        return -1e9
    if handed >= len(ordered):
        return float(ordered[-1]) + 1e-9 + abs(float(ordered[-1])) * 1e-9 if len(ordered) else 0.0
    return float(ordered[handed - 1] + ordered[handed]) / 2


def _benefit_weights(probabilities: Floats, gains: Floats) -> Floats:
    """Return the ridge regression of the gain in accuracy on the features of a row."""
    x = features(probabilities)
    penalty = _RIDGE * np.eye(x.shape[1])
    penalty[0, 0] = 1e-6
    return np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ gains))


def _cross_fitted(probabilities: Floats, gains: Floats) -> Floats:
    """Return the score of each row by weights learned on other rows."""
    out = np.zeros(len(gains))
    part = np.arange(len(gains)) % _PARTS
    for held in range(_PARTS):
        test = part == held
        if test.any() and not test.all():
            weights = _benefit_weights(probabilities[~test], gains[~test])
            out[test] = scores("benefit", probabilities[test], weights)
    return out
