"""Answers that are sets of labels: those whose probability reaches the label's threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rung.core.label_sets import set_text
from rung.core.types import Prediction

Floats = npt.NDArray[np.float64]


def set_answers(
    probabilities: Floats, labels: Sequence[str], thresholds: Sequence[float], by: str
) -> list[Prediction]:
    """Return the set of labels of each row. probabilities: [rows, labels], each label by itself; thresholds: [labels].

    The score of an answer is the probability of the whole set if labels were independent.
    """
    said = probabilities >= np.asarray(thresholds)
    scores = joint_probability(probabilities, said)
    return [
        Prediction(
            set_text(label for label, is_in in zip(labels, marks, strict=True) if is_in),
            float(score), answered_by=by, extra={"probabilities": row},
        )
        for row, marks, score in zip(probabilities, said.tolist(), scores.tolist(), strict=True)
    ]  # fmt: skip


def joint_probability(probabilities: Floats, said: npt.NDArray[np.bool_]) -> Floats:
    """Return how probable each row's set is if labels were independent: [rows]."""
    each = np.where(said, probabilities, 1.0 - probabilities)
    return np.asarray(np.exp(np.log(each.clip(1e-12)).sum(axis=1)), dtype=np.float64)
