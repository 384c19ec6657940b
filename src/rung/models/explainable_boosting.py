"""A sum of curves, one a column, and of a few tables for pairs: as good as trees on many tables, and readable whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from rung.core.errors import MissingExtra, RungError
from rung.core.model import DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.tables.model import TableModel


@dataclass(frozen=True)
class ExplainableBoostingParams:
    """What can be set; None is searched on training rows within the effort.

    pairs: of columns that may act together; 0 for none. bags: fits that are averaged.
    balance: weigh the rows of rare labels, or thin those of common ones; probabilities stay the data's own.
    """

    pairs: int | None = None
    bags: int | None = None
    balance: Literal["none", "weights", "thin"] | None = None


class ExplainableBoosting(TableModel):
    """Use it where somebody must be able to read the whole model, and straight lines are not good enough."""

    PACKAGES = ("interpret", "sklearn", "scipy")
    NEEDS = "ebm"
    Params = ExplainableBoostingParams
    FAMILIES = ("additive",)

    @classmethod
    def fit(cls, examples: Examples, params: ExplainableBoostingParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.tables.fit import fit_table

        return cls(examples.schema, fit_table(examples, cls.FAMILIES, cls.MIXES, params, context))

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        """Return that its extra is not installed: a ladder that does not name it goes on without."""
        try:
            cls.require()
        except MissingExtra as missing:
            return missing
        return None
