"""From probabilities to an answer: the likeliest label, or the one whose errors cost least."""

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
    """threshold: of two labels the second is answered from this probability on; None answers the likeliest label."""

    threshold: float | None = None

    def predictions(self, probabilities: Floats, labels: Sequence[str], by: str) -> list[Prediction]:
        """Return one prediction a row, with its row of probabilities; its score is that of the label answered."""
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
    """Return the decision that costs least if probabilities are right: the second label from fp / (fp + fn) on."""
    if not costs:
        return DecisionThreshold()
    return DecisionThreshold(costs["false_positive"] / (costs["false_positive"] + costs["false_negative"]))
