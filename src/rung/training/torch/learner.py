"""What the trainer trains: a module, rows to learn from, their loss, and a score on rows held out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Learner(ABC):
    """A module with its training rows.

    lengths: tokens of each row (1 where rows have no length). weights: of each row in the loss.
    """

    def __init__(self, module: nn.Module, lengths: Ints, weights: Floats) -> None:
        self.module = module
        self.lengths = lengths
        self.weights = weights

    @abstractmethod
    def loss(self, rows: Ints) -> Tensor:
        """Return the sum over these rows of their weighted losses, to be divided by the sum of their weights."""

    def epoch_ended(self, epoch: int, score: float | None) -> None:
        """Called after an epoch (from 1) with its score; what it raises ends training."""

    def score(self) -> float | None:
        """Return the score on validation rows, higher is better; None when there are none."""
        return None
