"""Ensemble of a few linear models and trees, weighted by their out-of-fold performance."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal, Self

from rung.core.errors import MissingExtra, RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.tables.model import TableModel, table_cost


@dataclass(frozen=True)
class StackParams:
    """Parameters; None depends on the effort and is searched on training rows.

    networks: networks of `mlp_table` are candidates too (needs rung[train]); one is a member where it lowers the loss of the
    mixture. bags: fits of each kind of trees that are averaged. balance: weight the rows of rare labels, or
    undersample common ones; probabilities stay those of the data. fewest_rows: training rows from which a
    category's value is known, 1 by default; with 3 the model stores no value that may identify a person, not
    even as a digest.
    """

    networks: bool = False
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
        from rung.training.tables.label_parts import fit_answers

        families = (*cls.FAMILIES, *(("network",) if params.networks else ()))
        return cls(examples.schema, fit_answers(examples, families, cls.MIXES, params, context))

    @classmethod
    def unavailable(cls, facts: DataFacts, params: StackParams, context: FitContext) -> RungError | None:
        if params.networks and importlib.util.find_spec("torch") is None:
            return MissingExtra("a stack with networks", "train", "torch")
        return super().unavailable(facts, params, context)

    @classmethod
    def cost(cls, facts: DataFacts, params: StackParams, context: FitContext) -> Cost:
        families = (*cls.FAMILIES, *(("network",) if params.networks else ()))
        return table_cost(families, cls.MIXES, facts, context)
