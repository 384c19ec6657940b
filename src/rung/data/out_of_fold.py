"""Probabilities of every training row from the cheapest model that has them, fitted on other rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core import registry
from rung.core.model import DataFacts, FitContext, Model, Probabilities
from rung.core.params import make_params
from rung.core.product import Product
from rung.core.types import Examples

_FOLDS = 5


def cheapest_family(product: Product, facts: DataFacts, context: FitContext) -> type[Model] | None:
    """Return the family of the task whose answers are planned to cost least, the floor and lookups apart."""
    floor = registry.task(product.task).floor
    found = []
    for name in registry.models_for(product.task):
        family = registry.model(name)
        params = family.Params() if family.PLACE == "rung" else None
        if params is not None and name != floor and family.unavailable(facts, params, context) is None:
            found.append((family.cost(facts, params, context).cpu_seconds_per_1k, name))
    return registry.model(min(found)[1]) if found else None


def out_of_fold(
    product: Product, examples: Examples, together: Sequence[int] | None = None
) -> npt.NDArray[np.float64] | None:
    """Return [rows, labels] from models that had not seen the row; None when no family has probabilities.

    together: a number for each row; rows of one number stay in one fold, as units do, so that a near copy with the same
    wrong label cannot vouch for it.
    """
    chars = sum(len(str(cell)) for column in examples.inputs.values() for cell in column)
    facts = DataFacts(len(examples), len(examples.schema.labels), chars / max(len(examples), 1))
    context = FitContext(
        product.seed, product.budget.threads or os.cpu_count() or 1, min(product.budget.effort, 1)
    )
    family = cheapest_family(product, facts, context)
    if family is None:
        return None
    family.require()
    params: Any = make_params(family.Params, {})
    out = np.zeros((len(examples), len(examples.schema.labels)))
    fold = _deal(examples, together)
    for number in range(_FOLDS):
        test = np.flatnonzero(fold == number)
        model = family.fit(examples.take(np.flatnonzero(fold != number).tolist()), params, context)
        if not isinstance(model, Probabilities):
            return None
        for begin in range(0, len(test), 5_000):
            piece = test[begin : begin + 5_000]
            out[piece] = model.probabilities(examples.take(piece.tolist()).inputs)
    return out


def _deal(examples: Examples, together: Sequence[int] | None) -> npt.NDArray[np.int64]:
    """Return a fold for each row: whole units and whole groups, label by label in the order of their hash."""
    keys: list[Any] = list(examples.units) if together is None else list(together)
    if together is not None and len(set(examples.units)) < len(examples):
        # Groups of the user's and near copies both hold rows together: the unit's first copy stands for it.
        first: dict[str, int] = {}
        keys = [first.setdefault(unit, group) for unit, group in zip(examples.units, together, strict=True)]
    label: dict[Any, str] = {}
    unit: dict[Any, str] = {}
    for key, target, name in zip(keys, examples.targets, examples.units, strict=True):
        label.setdefault(key, str(target))
        unit.setdefault(key, name)
    ordered = sorted(label, key=lambda key: (label[key], unit[key]))
    place = {key: index % _FOLDS for index, key in enumerate(ordered)}
    return np.array([place[key] for key in keys], dtype=np.int64)
