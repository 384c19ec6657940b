"""Out-of-fold probabilities of every training row, from cheap models."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core import registry
from rung.core.errors import MissingWeights
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


@dataclass(frozen=True)
class OutOfFold:
    """probabilities: [rows, labels] from models that had not seen the row.

    models: rung -> the weights it read with ("" without any), of the one or two families whose answers these are.
    left_out: rung -> the weights it misses, of families that read with weights which are not on this machine.
    """

    probabilities: Floats
    models: Mapping[str, str]
    left_out: Mapping[str, str]


def cheap_families(
    product: Product, facts: DataFacts, context: FitContext
) -> tuple[list[str], dict[str, str]]:
    """Return the task's families by the planned cost of an answer, and {family: weights} of those whose weights are not here.

    The floor and lookups are not among them.
    """
    floor = registry.task(product.task).floor
    found = []
    left_out: dict[str, str] = {}
    for name in registry.models_for(product.task):
        family = registry.model(name)
        if family.PLACE == "rung" and name != floor:
            params = make_params(family.Params, {})
            reason = family.unavailable(facts, params, context)
            if reason is None:
                cost = family.cost(facts, params, context)
                if not cost.service_usd_per_1k:  # A look at the data is not paid for.
                    found.append((cost.cpu_seconds_per_1k, name))
            elif isinstance(reason, MissingWeights):
                left_out[name] = reason.weights
    return [name for _, name in sorted(found)], left_out


def out_of_fold(
    product: Product, examples: Examples, together: Sequence[int] | None = None
) -> OutOfFold | None:
    """Return the probabilities of every row and which models gave them; None when no family has probabilities.

    The cheapest family answers, and a second where its fits are cheap as well; whichever of the two or their mean has the
    least log loss is taken. All rows decide that: which family leads on a sample says little of which leads on all.
    together: a number for each row; rows of one number stay in one fold, as units do, so that a near copy with the same
    wrong label cannot vouch for it.
    """
    chars = sum(len(str(cell)) for column in examples.inputs.values() for cell in column)
    task = registry.task(product.task)
    shown = examples.take(range(0, len(examples), max(len(examples) // 200, 1)))
    sample = tuple(task.dedup_key(row) for row in shown.records())
    facts = DataFacts(len(examples), len(examples.schema.labels), chars / max(len(examples), 1), sample)
    # A stronger search than this moves rows about the middle of the list, if any.
    context = FitContext(
        product.seed, product.budget.threads or os.cpu_count() or 1, min(product.budget.effort, 2)
    )
    targets = [str(target) for target in examples.targets]
    fold = assign_folds(_FOLDS, _groups(examples, together), targets)
    found: list[tuple[Floats, dict[str, str]]] = []
    names, left_out = cheap_families(product, facts, context)
    for name in names:
        family = registry.model(name)
        planned = family.cost(facts, make_params(family.Params, {}), context).fit_seconds
        if found and planned * _FOLDS > _SECOND_SECONDS:
            continue
        answered = _answers(family, examples, fold, context)
        if answered is not None:
            answers, weights = answered
            found.append((answers, {name: weights}))
        if len(found) == 2:
            found.append(((found[0][0] + found[1][0]) / 2, found[0][1] | found[1][1]))
            break
    if not found:
        return None
    number = {label: place for place, label in enumerate(examples.schema.labels)}
    codes = np.array([number[target] for target in examples.targets], dtype=np.int64)
    best, models = min(found, key=lambda answered: _log_loss(answered[0], codes))
    return OutOfFold(best, models, left_out)


def _answers(
    family: type[Model], examples: Examples, fold: npt.NDArray[np.int64], context: FitContext
) -> tuple[Floats, str] | None:
    """Return [rows, labels] of one family and the weights it read with; None without probabilities.

    Each fold is answered by a model of the others.
    """
    family.require()
    params: Any = make_params(family.Params, {})
    out = np.zeros((len(examples), len(examples.schema.labels)))
    weights = ""
    for number in range(_FOLDS):
        test = np.flatnonzero(fold == number)
        model = family.fit(examples.take(np.flatnonzero(fold != number).tolist()), params, context)
        if not isinstance(model, Probabilities):
            return None
        for begin in range(0, len(test), 5_000):
            piece = test[begin : begin + 5_000]
            out[piece] = model.probabilities(examples.take(piece.tolist()).inputs)
        weights = str(model.chosen.get("weights", ""))
    return out, weights


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
