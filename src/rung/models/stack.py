"""A few linear models and trees that answer together, each by the weight it earned on rows it had not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.tables.model import TableModel


@dataclass(frozen=True)
class StackParams:
    """What can be set; None goes by the effort, and is searched on training rows.

    bags: fits of each kind of trees that are averaged. balance: weigh the rows of rare labels, or thin those of common
    ones; probabilities stay the data's own. fewest_rows: from how many rows on a category's value is known, 1 unless
    set; with 3 the model holds no value that may name somebody, not even as a digest.
    """

    bags: int | None = None
    balance: Literal["none", "weights", "thin"] | None = None
    fewest_rows: int | None = None


class Stack(TableModel):
    """Use it for the last points: no family wins on every table, and a mixture is seldom worse than its best."""

    PACKAGES = ("lightgbm", "sklearn", "scipy")
    Params = StackParams
    FAMILIES = ("linear", "trees")
    MIXES = True

    @classmethod
    def fit(cls, examples: Examples, params: StackParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.tables.fit import fit_table

        return cls(examples.schema, fit_table(examples, cls.FAMILIES, cls.MIXES, params, context))
