"""What a rung answered to training rows held out from it, kept with its trial: cascades are proposed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rung.core.types import Prediction, Schema

_FILE = "held_out.npz"
# More rows say little more of a threshold.
_MOST_ROWS = 5_000


@dataclass(frozen=True)
class HeldOutAnswers:
    """Answers by numbers alone. rows: of the training rows; answered: number of the label; probabilities: [rows, labels]."""

    rows: npt.NDArray[np.int64]
    answered: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]

    def at(self, rows: npt.NDArray[np.int64]) -> HeldOutAnswers:
        """Return the answers to these of the rows, which are ascending as all rows are."""
        places = np.searchsorted(self.rows, rows)
        return HeldOutAnswers(rows, self.answered[places], self.probabilities[places])


def save_held_out(asked: Sequence[int], said: Sequence[Prediction], schema: Schema, folder: Path) -> None:
    """Write the answers to at most 5,000 of the training rows asked about, where a model gives a probability of each label; else nothing."""
    number = {label: place for place, label in enumerate(schema.labels)}
    rows = np.array(asked, dtype=np.int64)
    if not number or not len(rows) or "probabilities" not in said[0].extra:
        return
    # By the row's number, so that rungs whose rows differ keep those that they share.
    step = -(-len(rows) // _MOST_ROWS)
    places = np.flatnonzero(rows % step == 0).tolist()
    answers = [said[place] for place in places]
    np.savez(
        folder / _FILE,
        rows=rows[places],
        answered=np.array([number[str(answer.value)] for answer in answers], dtype=np.int64),
        probabilities=np.array([answer.extra["probabilities"] for answer in answers], dtype=np.float32),
    )


def read_held_out(folder: Path) -> HeldOutAnswers | None:
    """Return what `save_held_out` wrote; None where there is nothing, as in trials of earlier versions."""
    if not (folder / _FILE).is_file():
        return None
    with np.load(folder / _FILE, allow_pickle=False) as kept:
        return HeldOutAnswers(kept["rows"], kept["answered"], kept["probabilities"].astype(np.float64))
