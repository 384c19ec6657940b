"""Ensemble of a few linear models and trees, weighted by their out-of-fold performance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.tables.model import TableModel


@dataclass(frozen=True)
class StackParams:
    """Parameters; None depends on the effort and is searched on training rows.

    bags: fits of each kind of trees that are averaged. balance: weight the rows of rare labels, or
    undersample common ones; probabilities stay those of the data. fewest_rows: training rows from which a
    category's value is known, 1 by default; with 3 the model stores no value that may identify a person, not
    even as a digest.
    """

    bags: int | None = None
    balance: Literal["none", "weights", "thin"] | None = None
    fewest_rows: int | None = None


class Stack(TableModel):
    """Use it for the last points of accuracy: no family wins on every table, and an ensemble is rarely worse
    than its best member.
    """

    PACKAGES = ("lightgbm", "sklearn", "scipy")
    Params = StackParams
    FAMILIES = ("linear", "trees")
    MIXES = True

    @classmethod
    def fit(cls, examples: Examples, params: StackParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.tables.fit import fit_table

        return cls(examples.schema, fit_table(examples, cls.FAMILIES, cls.MIXES, params, context))
