"""Exceptions for user mistakes: problem, place and fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class RungError(Exception):
    """A mistake the user can mend. The command line prints it without a traceback and exits 2.

    problem: what is wrong, with the value. where: file, line, row or field. fix: what to do.
    key, values: of a message `unavailable.KEY` that says both in any language; "" for an error without one.
    """

    key: str = ""
    values: Mapping[str, Any] = {}

    def __init__(self, problem: str, where: str = "", fix: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        head = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{head}\n{self.fix}" if self.fix else head

    def __reduce__(self) -> tuple[Any, ...]:
        # Some classes below are made of other arguments than `args`, and errors of fits come from other processes.
        return _restored, (type(self), self.args, dict(self.__dict__))

    def as_dict(self) -> dict[str, str]:
        """Return the three parts, as HTTP and `--json` send them."""
        return {"problem": self.problem, "where": self.where, "fix": self.fix}


def _restored(kind: type[RungError], args: tuple[Any, ...], facts: dict[str, Any]) -> RungError:
    """Return an error as another process raised it."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error


class DataError(RungError):
    """The data cannot be read or cannot make a model."""


class RunError(RungError):
    """A run folder cannot be used or written."""


class BundleError(RungError):
    """A bundle is damaged, hostile, newer than this version or unfit for the request."""


class InputError(RungError):
    """A row sent for prediction cannot be answered."""


class FitCancelled(RungError):
    """A fit was stopped before its end: a model raises it when `context.cancelled()` says so."""

    def __init__(self) -> None:
        super().__init__("the fit was stopped: the time budget is spent", fix="Raise `budget.minutes`.")


class WorkerLost(RungError):
    """Processes that worked on a job ended without an answer, each time it was begun."""

    def __init__(self, of: str, how: str, held_mb: float, planned_mb: float, attempts: int) -> None:
        held = f"; it held {held_mb:,.0f} MB of memory at most" if held_mb else ""
        planned = f", {planned_mb:,.0f} MB were planned" if planned_mb else ""
        times = "once" if attempts == 1 else f"{attempts} times"
        how += held + planned
        super().__init__(
            f"the worker was lost {times}: {how}",
            of,
            "If memory ran out: fewer `budget.workers`, fewer rows, or a machine with more memory.",
        )


# No package index has rung: it is installed from a copy of its source.
UPDATE = "Update rung's source folder, and there run: pip install -e ."


def install_command(*extras: str) -> str:
    """Return what installs rung with these extras, in its source folder."""
    return f"pip install -e '.[{','.join(extras)}]'"


def install_fix(extra: str) -> str:
    """Return what to do where the packages of an extra are missing."""
    return f"In rung's source folder: {install_command(extra)}"


class MissingExtra(RungError):
    """A part of rung needs packages that are not installed."""

    def __init__(self, what: str, extra: str, missing: str) -> None:
        super().__init__(f"{what} needs the package '{missing}'", fix=install_fix(extra))
        self.key, self.values = "extra", {"package": missing, "extra": extra}


class MissingWeights(RungError):
    """Weights of a model are not on this machine. weights: their name."""

    def __init__(self, weights: str) -> None:
        self.weights = weights
        super().__init__(
            f"the weights '{weights}' are not on this machine.", fix=f"Run `rung weights fetch {weights}`."
        )
        self.key, self.values = "weights", {"weights": weights}


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a spec: its line (0 if unknown), dotted key, what is wrong, and the fix."""

    line: int
    key: str
    problem: str
    fix: str = ""

    def __str__(self) -> str:
        place = f"line {self.line}, " if self.line else ""
        return f"{place}{self.key}: {self.problem}" + (f" {self.fix}" if self.fix else "")


class SpecError(RungError):
    """Everything wrong with a product.yaml, at once."""

    def __init__(self, problems: Sequence[Problem], where: str) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            "\n".join([count, *(f"  {problem}" for problem in problems)]),
            where,
            "`rung plan DATA` writes a product.yaml that works; docs/reference/product.md lists every key.",
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "Did you mean 'x'?" for the nearest known word, else the list of known words."""
    choices = list(known)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if not near:
        folded = {choice.casefold().strip(): choice for choice in choices}
        near = difflib.get_close_matches(word.casefold().strip(), list(folded), n=1, cutoff=0.6)
        near = [folded[name] for name in near]
    if near:
        return f"Did you mean '{near[0]}'?"
    listed = ", ".join(f"'{choice}'" for choice in choices[:12])
    return f"Known: {listed}{' ...' if len(choices) > 12 else ''}."
