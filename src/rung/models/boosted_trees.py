"""Gradient-boosted trees: fitted with LightGBM, stored as arrays, served without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.tables.model import TableModel


@dataclass(frozen=True)
class BoostedTreesParams:
    """Parameters; None is searched on training rows within the effort.

    bags: fits that are averaged. balance: weight the rows of rare labels, or undersample common ones;
    probabilities stay those of the data. fewest_rows: training rows from which a category's value is known, 1
    by default; with 3 the model stores no value that may identify a person, not even as a digest.
    """

    num_leaves: int | None = None
    learning_rate: float | None = None
    min_data_in_leaf: int | None = None
    bags: int | None = None
    balance: Literal["none", "weights", "thin"] | None = None
    fewest_rows: int | None = None


class BoostedTrees(TableModel):
    """Use it on tables of a thousand rows or more whose columns interact: usually the strongest single model."""

    PACKAGES = ("lightgbm", "sklearn", "scipy")
    Params = BoostedTreesParams
    FAMILIES = ("trees",)

    @classmethod
    def fit(cls, examples: Examples, params: BoostedTreesParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.tables.label_parts import fit_answers

        return cls(examples.schema, fit_answers(examples, cls.FAMILIES, cls.MIXES, params, context))
