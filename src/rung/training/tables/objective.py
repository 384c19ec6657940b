"""The targets that table models are fitted to, and their loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Folds = Sequence[tuple[Ints, Ints]]


@dataclass(frozen=True)
class TrainingTargets:
    """The targets of training rows.

    targets: [rows, outputs], a 0/1 column for each label, or the transformed number. codes: label of each
    row; None for numbers.
    """

    targets: Floats
    codes: Ints | None

    @property
    def outputs(self) -> int:
        return int(self.targets.shape[1])

    def take(self, rows: Ints) -> TrainingTargets:
        """Return these rows."""
        return TrainingTargets(self.targets[rows], None if self.codes is None else self.codes[rows])

    def loss(self, raw: Floats) -> float:
        """Return the log loss of raw scores, or the mean squared error of numbers."""
        if self.codes is None:
            return float(((raw - self.targets) ** 2).mean())
        shifted = raw - raw.max(axis=1, keepdims=True)
        normal = np.log(np.exp(shifted).sum(axis=1))
        return float((normal - shifted[np.arange(len(raw)), self.codes]).mean())
