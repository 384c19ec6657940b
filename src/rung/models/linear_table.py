"""Linear model of a table: standardised numbers with a few knots, one weight for each category; reads like a
scorecard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.tables.model import TableModel


@dataclass(frozen=True)
class LinearTableParams:
    """Parameters; None is searched on training rows within the effort.

    c: inverse regularisation strength. bends: knots of each number, at its quantiles. balance: weight the
    rows of rare labels, or undersample common ones; probabilities stay those of the data.
    """

    c: float | None = None
    bends: int | None = None
    balance: Literal["none", "weights", "thin"] | None = None


class LinearTable(TableModel):
    """Use it first on tables of a few hundred rows, and wherever people must be able to check every weight."""

    PACKAGES = ("sklearn", "scipy")
    NEEDS = "build"
    Params = LinearTableParams
    FAMILIES = ("linear",)

    @classmethod
    def fit(cls, examples: Examples, params: LinearTableParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.tables.label_parts import fit_answers

        return cls(examples.schema, fit_answers(examples, cls.FAMILIES, cls.MIXES, params, context))
