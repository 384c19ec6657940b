"""Base class of all table models: features, member models, calibration, thresholds, explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rung.core.model import Cost, DataFacts, FitContext, Model, Reason
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.tables.fitted import FittedTable
from rung.modalities.tables.label_parts import LabelParts

Floats = npt.NDArray[np.float64]


class TableModel(Model):
    """Base class of table models: one label, one number or a set of labels a row. Families differ in the member models a
    fit may choose.

    FAMILIES: kinds of member models that are tried. MIXES: whether several may be combined.
    """

    NEEDS = "tables"
    TASKS = frozenset({"tabular_classification", "tabular_regression", "tabular_multilabel"})
    FAMILIES: ClassVar[tuple[str, ...]] = ()
    MIXES: ClassVar[bool] = False

    def __init__(self, schema: Schema, fitted: FittedTable | LabelParts) -> None:
        """fitted: of a set of labels, one part a label."""
        self._schema = schema
        self._fitted = fitted

    @classmethod
    def name(cls) -> str:
        """Return the name of the family: the name of its file."""
        return cls.__module__.rsplit(".", 1)[-1]

    @property
    def labels(self) -> tuple[str, ...]:
        return self._schema.classes

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._fitted.chosen

    @property
    def fitted(self) -> FittedTable | LabelParts:
        """Return the fitted parts, for those who write them in another language."""
        return self._fitted

    def raw(self, inputs: Columns) -> Floats:
        """Return [rows, outputs]: the weighted sum of the members' raw scores, before calibration."""
        return self._fitted.raw(inputs)

    def probabilities(self, inputs: Columns) -> Floats:
        """Return [rows, labels]; models of numbers have none."""
        return self._fitted.probabilities(inputs)

    def predict(self, inputs: Columns) -> list[Prediction]:
        if not inputs or not len(next(iter(inputs.values()))):
            return []
        return self._fitted.predictions(inputs, self.labels, self.name())

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return how far each column moved the prediction: in log odds of the predicted label (of several, the most
        probable one), or in the target's units.

        Exact Shapley values of the members, by their weights. For a target learned on a logarithmic scale
        they are relative: 0.1 is one tenth more.
        """
        if not len(next(iter(inputs.values()), ())):
            return []
        return self._fitted.explain(inputs, self.labels, most)

    def save(self, folder: Path) -> None:
        self._fitted.save(folder)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        if schema.label_set:
            return cls(schema, LabelParts.load(folder, schema.input_names, len(schema.label_set)))
        return cls(schema, FittedTable.load(folder, schema.input_names, len(schema.labels)))

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return table_cost(cls.FAMILIES, cls.MIXES, facts, context)


def table_cost(families: Sequence[str], mixes: bool, facts: DataFacts, context: FitContext) -> Cost:
    """Return the planned cost of a model over members of these families; mixes: of several of them."""
    cells = facts.rows * max(facts.chars_per_row / 8, 1)
    each = {"linear": (8e-7, 0.0, 0.02), "additive": (6e-5, 4e-5, 0.1), "trees": (3e-6, 8e-5, 0.4)}
    each["network"] = (2e-4, 4e-4, 0.6)
    a_cell, a_row, mb = (max(each[family][i] for family in families) for i in range(3))
    tried = (1 + context.effort) * (2 if mixes else 1)
    fit = 0.3 + cells * a_cell * tried * max(facts.labels / 2, 1)
    answer = 1.5e-4 + a_row + (1.2e-4 if mixes else 0.0) + facts.chars_per_row * 2e-7
    size = mb * (3 if mixes else 1)
    return Cost(fit, answer * 1000, 60 + 3 * size + cells * 1e-5, size)
