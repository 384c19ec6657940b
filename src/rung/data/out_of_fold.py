"""Probabilities of every training row from a cheap model that has them, fitted on other rows."""

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
# Rows on which the two cheapest families are compared.
_TRIED = 3_000


def cheap_families(product: Product, facts: DataFacts, context: FitContext) -> list[type[Model]]:
    """Return the families of the task by what an answer is planned to cost, the floor and lookups apart."""
    floor = registry.task(product.task).floor
    found = []
    for name in registry.models_for(product.task):
        family = registry.model(name)
        if family.PLACE == "rung" and name != floor:
            params = make_params(family.Params, {})
            if family.unavailable(facts, params, context) is None:
                found.append((family.cost(facts, params, context).cpu_seconds_per_1k, name))
    return [registry.model(name) for _, name in sorted(found)]


def _better(families: Sequence[type[Model]], examples: Examples, context: FitContext) -> type[Model] | None:
    """Return which of the two cheapest families agrees more with labels it has not seen, on a sample of the rows.

    The cheapest alone may be one that cannot read the language.
    """
    some = examples.take(np.unique(np.linspace(0, len(examples) - 1, _TRIED).astype(int)).tolist())
    fold = _deal(some, None)
    learn, ask = (some.take(np.flatnonzero(part).tolist()) for part in (fold > 1, fold <= 1))
    best: tuple[float, type[Model]] | None = None
    for family in families[:2]:
        family.require()
        model = family.fit(learn, make_params(family.Params, {}), context)
        if isinstance(model, Probabilities):
            answers = [model.labels[i] for i in model.probabilities(ask.inputs).argmax(axis=1).tolist()]
            agreed = (
                float(np.mean([a == t for a, t in zip(answers, ask.targets, strict=True)]))
                if answers
                else 0.0
            )
            if best is None or agreed > best[0]:
                best = agreed, family
    return best[1] if best else None


def out_of_fold(
    product: Product, examples: Examples, together: Sequence[int] | None = None
) -> npt.NDArray[np.float64] | None:
    """Return [rows, labels] from models that had not seen the row; None when no family has probabilities.

    together: a number for each row; rows of one number stay in one fold, as units do, so that a near copy with the same
    wrong label cannot vouch for it.
    """
    chars = sum(len(str(cell)) for column in examples.inputs.values() for cell in column)
    task = registry.task(product.task)
    shown = examples.take(range(0, len(examples), max(len(examples) // 200, 1)))
    sample = tuple(task.fold(row) for row in shown.records())
    facts = DataFacts(len(examples), len(examples.schema.labels), chars / max(len(examples), 1), sample)
    # A look at the data is worth a quick fit, not a search.
    effort = min(product.budget.effort, 1)
    context = FitContext(product.seed, product.budget.threads or os.cpu_count() or 1, effort)
    family = _better(cheap_families(product, facts, context), examples, context)
    if family is None:
        return None
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
