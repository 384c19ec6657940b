"""Standardised numbers with a few bends, one weight a category, one linear model: read it like a scorecard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.tables.model import TableModel


@dataclass(frozen=True)
class LinearTableParams:
    """What can be set; None is searched on training rows within the effort.

    c: the inverse of the penalty on weights. bends: places where the line of a number may bend, at its quantiles.
    balance: weigh the rows of rare labels, or thin those of common ones; probabilities stay the data's own.
    """

    c: float | None = None
    bends: int | None = None
    balance: Literal["none", "weights", "thin"] | None = None


class LinearTable(TableModel):
    """Use it first on tables of a few hundred rows, and wherever somebody must be able to check each weight."""

    PACKAGES = ("sklearn", "scipy")
    NEEDS = "build"
    Params = LinearTableParams
    FAMILIES = ("linear",)

    @classmethod
    def fit(cls, examples: Examples, params: LinearTableParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.tables.fit import fit_table

        return cls(examples.schema, fit_table(examples, cls.FAMILIES, cls.MIXES, params, context))
