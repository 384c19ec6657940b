"""Probabilities of every training row from cheap models that have them, fitted on other rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core import registry
from rung.core.folds import assign_folds
from rung.core.model import DataFacts, FitContext, Model, Probabilities
from rung.core.params import make_params
from rung.core.spec.product import Product
from rung.core.types import Examples

Floats = npt.NDArray[np.float64]
_FOLDS = 5
# What the fits of a second family may cost by plan, all together: a look at the data is worth minutes.
_SECOND_SECONDS = 120.0
# No probability counts as less than this: one row must not decide which family is the better.
_LEAST = 1e-3


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


def out_of_fold(product: Product, examples: Examples, together: Sequence[int] | None = None) -> Floats | None:
    """Return [rows, labels] from models that had not seen the row; None when no family has probabilities.

    The cheapest family answers, and a second where its fits are cheap as well; whichever of the two or their mean has the
    least log loss is taken. All rows decide that: which family leads on a sample says little of which leads on all.
    together: a number for each row; rows of one number stay in one fold, as units do, so that a near copy with the same
    wrong label cannot vouch for it.
    """
    chars = sum(len(str(cell)) for column in examples.inputs.values() for cell in column)
    task = registry.task(product.task)
    shown = examples.take(range(0, len(examples), max(len(examples) // 200, 1)))
    sample = tuple(task.fold(row) for row in shown.records())
    facts = DataFacts(len(examples), len(examples.schema.labels), chars / max(len(examples), 1), sample)
    # A stronger search than this moves rows about the middle of the list, if any.
    context = FitContext(
        product.seed, product.budget.threads or os.cpu_count() or 1, min(product.budget.effort, 2)
    )
    targets = [str(target) for target in examples.targets]
    fold = assign_folds(_FOLDS, _groups(examples, together), targets)
    found: list[Floats] = []
    for family in cheap_families(product, facts, context):
        planned = family.cost(facts, make_params(family.Params, {}), context).fit_seconds
        if found and planned * _FOLDS > _SECOND_SECONDS:
            continue
        answers = _answers(family, examples, fold, context)
        if answers is not None:
            found.append(answers)
        if len(found) == 2:
            found.append((found[0] + found[1]) / 2)
            break
    if not found:
        return None
    number = {label: place for place, label in enumerate(examples.schema.labels)}
    codes = np.array([number[target] for target in examples.targets], dtype=np.int64)
    return min(found, key=lambda answers: _log_loss(answers, codes))


def _answers(
    family: type[Model], examples: Examples, fold: npt.NDArray[np.int64], context: FitContext
) -> Floats | None:
    """Return [rows, labels] of one family, each fold answered by a model of the others; None without probabilities."""
    family.require()
    params: Any = make_params(family.Params, {})
    out = np.zeros((len(examples), len(examples.schema.labels)))
    for number in range(_FOLDS):
        test = np.flatnonzero(fold == number)
        model = family.fit(examples.take(np.flatnonzero(fold != number).tolist()), params, context)
        if not isinstance(model, Probabilities):
            return None
        for begin in range(0, len(test), 5_000):
            piece = test[begin : begin + 5_000]
            out[piece] = model.probabilities(examples.take(piece.tolist()).inputs)
    return out


def _log_loss(answers: Floats, codes: npt.NDArray[np.int64]) -> float:
    return float(-np.log(np.maximum(answers[np.arange(len(codes)), codes], _LEAST)).mean())


def _groups(examples: Examples, together: Sequence[int] | None) -> list[str]:
    """Return the group of each row, named by the unit of its first row: units stay whole, and so do `together`'s groups.

    Where a unit has several rows, the number of its first one counts for all of them.
    """
    if together is None:
        return list(examples.units)
    number: dict[str, int] = {}
    name: dict[int, str] = {}
    for unit, group in zip(examples.units, together, strict=True):
        name.setdefault(number.setdefault(unit, group), unit)
    return [name[number[unit]] for unit in examples.units]
