"""Explainable boosting machine: a sum of curves, one for each column, and of a few tables for pairs of
columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from rung.core.errors import MissingExtra, RungError
from rung.core.model import DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.tables.model import TableModel


@dataclass(frozen=True)
class ExplainableBoostingParams:
    """Parameters; None is searched on training rows within the effort.

    pairs: pairs of columns that may interact; 0 for none. bags: fits that are averaged. balance: weight the
    rows of rare labels, or undersample common ones; probabilities stay those of the data.
    """

    pairs: int | None = None
    bags: int | None = None
    balance: Literal["none", "weights", "thin"] | None = None


class ExplainableBoosting(TableModel):
    """Use it where people must be able to read the whole model, and a linear model is not accurate enough."""

    # Not for sets of labels: a fit takes 20 times that of trees, and a label each would take it once.
    TASKS = frozenset({"tabular_classification", "tabular_regression"})
    PACKAGES = ("interpret", "sklearn", "scipy")
    NEEDS = "ebm"
    Params = ExplainableBoostingParams
    FAMILIES = ("additive",)

    @classmethod
    def fit(cls, examples: Examples, params: ExplainableBoostingParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.tables.label_parts import fit_answers

        return cls(examples.schema, fit_answers(examples, cls.FAMILIES, cls.MIXES, params, context))

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        """Return that its extra is not installed: a ladder that does not name the family goes on without it."""
        try:
            cls.require()
        except MissingExtra as missing:
            return missing
        return None
