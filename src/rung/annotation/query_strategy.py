"""The interface of query strategies, which choose the rows of a labelling session, and their public state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rung.annotation.learning_curve import CurvePoint, GainForecast, Stability
from rung.annotation.logistic_regression import LabelClassifier


@dataclass(frozen=True)
class LearnerState:
    """State after `n_labels` labels.

    queue: places of chosen rows, in the order to ask. reason: why they were chosen, `cluster` or `useful`.
    classifier: None until every label has a row.
    """

    n_labels: int
    queue: tuple[int, ...]
    reason: str
    classifier: LabelClassifier | None = None
    learning_curve: tuple[CurvePoint, ...] = ()
    stability: Stability | None = None
    forecast: GainForecast | None = None


class QueryStrategy(Protocol):
    """Chooses rows of a pool: `ActiveLearner`, or `ReviewStrategy` for served rows.

    A place is an index into the pool's rows.
    """

    featurizer_name: str

    @property
    def state(self) -> LearnerState:
        """Return the current state."""

    def update(self, training: list[tuple[int, str]]) -> None:
        """Set the labelled rows (place, label) and return at once."""

    def queue(self) -> Sequence[int]:
        """Return places of chosen rows, in the order to ask."""

    def reason(self, text: str) -> str:
        """Return why a chosen row was chosen. text: its hash."""

    def suggest(self, place: int) -> tuple[str, float] | None:
        """Return the most likely label of a row and its probability, None where nothing is known."""

    def wait(self, seconds: float = 60.0) -> bool:
        """Wait until the state includes all labels; return whether it does."""
