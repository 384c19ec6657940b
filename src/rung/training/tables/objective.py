"""The targets that a table's models are fitted to, with their loss."""

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
    """What is learned. targets: [rows, outputs] as parts are fitted to them: one column of 0 and 1 a label, or the
    standardised number. codes: label of each row; None for numbers."""

    targets: Floats
    codes: Ints | None

    @property
    def outputs(self) -> int:
        return int(self.targets.shape[1])

    def take(self, rows: Ints) -> TrainingTargets:
        """Return these rows."""
        return TrainingTargets(self.targets[rows], None if self.codes is None else self.codes[rows])

    def loss(self, raw: Floats) -> float:
        """Return log loss of scores, or the mean squared error of numbers."""
        if self.codes is None:
            return float(((raw - self.targets) ** 2).mean())
        shifted = raw - raw.max(axis=1, keepdims=True)
        normal = np.log(np.exp(shifted).sum(axis=1))
        return float((normal - shifted[np.arange(len(raw)), self.codes]).mean())
