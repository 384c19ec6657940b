"""Draws a share of a server's answers at random, by a rule whose propensities stand in the answer and in the journal."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rung.core.errors import RungError
from rung.core.task import Exploration, Task
from rung.core.types import Prediction
from rung.serving.answer_cache import Ask

if TYPE_CHECKING:
    from rung.serving.service import Service

# Random bytes of a draw's number, as many hex digits twice: no two draws of a product share one.
_NUMBER_BYTES = 8


class Explorer:
    """Answers rows by a rule of exploration. numbers: gives the number of each draw; default: of the system's random source.

    A draw depends on its number alone, and its number on nothing: neither on the row nor on what was clicked before. The number is in the
    answer, so whoever has bundle, input and number can draw the same list again.
    """

    def __init__(
        self,
        task: Task,
        rule: Exploration,
        numbers: Callable[[], str] = lambda: secrets.token_hex(_NUMBER_BYTES),
    ) -> None:
        self._task, self._rule, self._numbers = task, rule, numbers

    def answer(self, rows: Sequence[dict[str, Any]], ask: Ask) -> list[Prediction]:
        """Return the answers in order. ask: the model."""
        found = ask([self._task.candidates_row(row, self._rule) for row in rows]) if rows else []
        return [
            self._task.explored(answer, row, self._rule, self._numbers())
            for row, answer in zip(rows, found, strict=True)
        ]


def explorer_for(task: Task, service: Service) -> Explorer | None:
    """Return what explores for a model of this service; None where nothing is to be explored.

    Raises RungError where `serve.explore` cannot be done: the task has nothing to draw, or propensities would be lost.
    """
    limits = service.limits
    if not limits.explore:
        return None
    if not task.takes_exploration:
        fix = "Remove `serve.explore`, or serve this model with another server."
        raise RungError(f"the task {task.name} has no lists to draw at random", "serve.explore", fix)
    if service.journal is None or service.journal.encoder.input_mode == "hash":
        fix = "Set RUNG_MASTER_KEY (`rung keys master` prints one), or write `serve: {inputs: plain}`; serve with a journal."
        raise RungError("propensities would be lost: no journal keeps the lists", "serve.explore", fix)
    return Explorer(task, Exploration(limits.explore, limits.explore_among))
