"""Decide on a label from probabilities: the most likely one, or the one with the least expected cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.model import answers_from
from rung.core.types import Prediction

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DecisionThreshold:
    """threshold: with two labels, predict the second from this probability on; None predicts the most likely
    label.
    """

    threshold: float | None = None

    def predictions(self, probabilities: Floats, labels: Sequence[str], by: str) -> list[Prediction]:
        """Return one prediction a row with its row of probabilities; the score is that of the predicted
        label.
        """
        if self.threshold is None:
            return answers_from(probabilities, labels, by)
        picked = (probabilities[:, 1] >= self.threshold).astype(int).tolist()
        return [
            Prediction(labels[k], float(row[k]), answered_by=by, extra={"probabilities": row})
            for row, k in zip(probabilities, picked, strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> DecisionThreshold:
        return DecisionThreshold(raw["threshold"])


def bayes_threshold(costs: Mapping[str, float]) -> DecisionThreshold:
    """Return the threshold with the least cost for calibrated probabilities: fp / (fp + fn) for the second
    label.
    """
    if not costs:
        return DecisionThreshold()
    return DecisionThreshold(costs["false_positive"] / (costs["false_positive"] + costs["false_negative"]))
