"""The one family of errors that a user sees: what is wrong, where, and what to do."""

from __future__ import annotations


class RungError(Exception):
    """An error of the user's making or surroundings, never a bug of ours.

    problem: what is wrong; where: file and line, or the setting; fix: what to do next.
    """

    def __init__(self, problem: str, where: str = "", fix: str = "") -> None:
        self.problem = problem
        self.where = where
        self.fix = fix
        super().__init__(self.__str__())

    def __str__(self) -> str:
        head = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{head}\n{self.fix}" if self.fix else head


class DataError(RungError):
    """The user's data cannot be read or used."""


class SpecError(RungError):
    """The product file is wrong."""


class BundleError(RungError):
    """A bundle is broken or has been changed."""


class MissingExtra(RungError):
    """A package of an optional extra is not installed."""
