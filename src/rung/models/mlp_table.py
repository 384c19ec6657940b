"""Neural network of a table: embedded columns, layers shared by several members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from rung.core.errors import RungError
from rung.core.model import DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.tables.model import TableModel


@dataclass(frozen=True)
class MlpTableParams:
    """Parameters; None depends on the effort or is searched on training rows.

    members: that share the layers' weights. width, layers: of the hidden layers. frequencies: periodic features of each
    number. epochs, patience: at most, and without a better loss on rows held out. bags: networks whose answers are
    averaged. balance: weight the rows of rare labels, or undersample common ones; probabilities stay those of the data.
    """

    members: int | None = None
    width: int | None = None
    layers: int | None = None
    frequencies: int | None = None
    dropout: float | None = None
    epochs: int | None = None
    patience: int | None = None
    learning_rate: float | None = None
    bags: int | None = None
    balance: Literal["none", "weights", "thin"] | None = None


class MlpTable(TableModel):
    """Use it on tables of thousands of rows whose numbers matter smoothly; trees are usually as good and cheaper."""

    PACKAGES = ("torch", "sklearn", "scipy")
    NEEDS = "train"
    Params = MlpTableParams
    FAMILIES = ("network",)
    PLACE = "asked"

    @classmethod
    def unavailable(cls, facts: DataFacts, params: MlpTableParams, context: FitContext) -> RungError | None:
        return cls.missing_packages()

    @classmethod
    def fit(cls, examples: Examples, params: MlpTableParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.tables.label_parts import fit_answers

        return cls(examples.schema, fit_answers(examples, cls.FAMILIES, cls.MIXES, params, context))
