"""Scores by which a model keeps a row or hands it on, and the thresholds they are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Signal = Literal["confidence", "margin", "benefit"]
SIGNALS: tuple[Signal, ...] = ("confidence", "margin", "benefit")


@dataclass(frozen=True)
class HandOn:
    """A stage keeps a row whose score is at least the threshold.

    signal: confidence is the probability of the answer, margin its lead over the second one, benefit what handing on is
    predicted to lose in accuracy. weights: of the benefit, over `features`; () for the other signals.
    """

    signal: Signal
    threshold: float
    weights: tuple[float, ...] = ()

    def keeps(self, probabilities: Floats) -> npt.NDArray[np.bool_]:
        """Return whether each row, given its probabilities [rows, labels], stays."""
        return scores(self.signal, probabilities, np.array(self.weights)) >= self.threshold

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"signal": self.signal, "threshold": self.threshold, "weights": list(self.weights)}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> HandOn:
        """Return what `as_dict` gave."""
        return HandOn(raw["signal"], float(raw["threshold"]), tuple(map(float, raw["weights"])))


def scores(signal: Signal, probabilities: Floats, weights: Floats) -> Floats:
    """Return how much speaks for keeping each row."""
    if signal == "benefit":
        return -(features(probabilities) @ weights)
    top = np.sort(probabilities, axis=1)
    return top[:, -1] if signal == "confidence" else top[:, -1] - top[:, -2]


def features(probabilities: Floats) -> Floats:
    """Return what the benefit of handing on is predicted from, [rows, 6 + labels].

    One, the probability of the answer, of the second and third label, the lead, the entropy, and which label is answered:
    some labels are decided better by the next model.
    """
    size = probabilities.shape[1]
    top = np.sort(probabilities, axis=1)[:, ::-1]
    third = top[:, 2] if size > 2 else np.zeros(len(top))
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(axis=1) / np.log(max(size, 2))
    answered = np.eye(size)[probabilities.argmax(axis=1)]
    common = np.column_stack([np.ones(len(top)), top[:, 0], top[:, 1], third, top[:, 0] - top[:, 1], entropy])
    return np.column_stack([common, answered])


def rows_of(answers: Sequence[Any]) -> Floats:
    """Return the probabilities of predictions as [rows, labels]."""
    return np.array([answer.extra["probabilities"] for answer in answers], dtype=np.float64)
