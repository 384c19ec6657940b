"""Before anything is fitted: which task a table is, and which rungs fit it, cheapest prediction first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rung.core import registry
from rung.core.errors import DataError, Problem, RungError, SpecError, did_you_mean
from rung.core.model import DataFacts, FitContext, Ladder, Rung
from rung.core.prices import Prices
from rung.core.product import Product, RungSpec
from rung.core.task import ColumnProfile, Guess

_CHOSEN = "as you chose"


def fit_context(product: Product, threads: int, seconds: float | None = None) -> FitContext:
    """Return what every fit of this product may use."""
    return FitContext(product.seed, threads, product.budget.effort, seconds)


def ladder(product: Product, floor: str, facts: DataFacts, prices: Prices, fit: FitContext) -> Ladder:
    """Return the rungs that fit the task, by the planned price of a prediction, the floor among them.

    Raises SpecError for a rung of the spec that does not exist, cannot do the task, has wrong parameters, or
    cannot be tried here; a family nobody named is left out instead.
    """
    wanted = product.ladder
    if wanted is None:
        wanted = tuple(RungSpec(model=name) for name in registry.models_for(product.task))
    problems: list[Problem] = []
    rungs: list[Rung] = []
    left_out: dict[str, RungError] = {}
    for index, spec in enumerate(wanted):
        try:
            rung = _rung(spec, product.task, facts, prices, fit)
            reason = registry.model(rung.model).unavailable(facts, rung.params)
            if reason is None:
                rungs.append(rung)
            elif product.ladder is None:
                left_out[rung.name] = reason
            else:
                raise reason
        except RungError as error:
            problems.append(Problem(0, f"ladder.{index}", error.problem.rstrip(".") + ".", error.fix))
    if problems:
        raise SpecError(problems, "product.yaml")
    if floor not in {rung.model for rung in rungs}:
        rungs.append(_rung(RungSpec(model=floor), product.task, facts, prices, fit))
    return Ladder(tuple(sorted(rungs, key=lambda rung: (rung.usd_per_1k, rung.name))), left_out)


def _rung(spec: RungSpec, task: str, facts: DataFacts, prices: Prices, fit: FitContext) -> Rung:
    family = registry.model(spec.model)
    if task not in family.TASKS:
        fix = did_you_mean(spec.model, registry.models_for(task))
        raise RungError(f"the model '{spec.model}' cannot do {task}", fix=fix)
    params = make_params(family.Params, spec.params)
    cost = family.cost(facts, params, fit)
    return Rung(spec.name or spec.model, spec.model, params, cost, prices.usd(cost.cpu_seconds_per_1k))


def make_params(kind: type, given: Mapping[str, Any]) -> Any:
    """Return the family's parameters from the spec's; raises RungError for unknown names and wrong values."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in given:
        if name not in fields:
            raise RungError(f"'{name}' is not a parameter", fix=did_you_mean(name, fields))
    try:
        return TypeAdapter(kind).validate_python(dict(given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "params"
        default = getattr(kind(), name, None)
        message = first["msg"].removeprefix("Input ").replace("should", "must")
        fix = f"Its default is {default!r}." if name in fields else ""
        raise RungError(f"the parameter '{name}' {message}, not {first['input']!r}", fix=fix) from None


def recognise(
    columns: Sequence[ColumnProfile], rows: int, where: str, task: str | None = None
) -> list[Guess]:
    """Return every task this table could be, surest first; raises DataError when it is none.

    What the user chose wins: `task`, and the columns that have a role.
    """
    free = [c for c in columns if c.role in {"", "input", "target"}]
    names = [task] if task else registry.task_names()
    guesses = [_with_choices(name, registry.task(name).guess(free, rows), columns) for name in names]
    found = sorted((guess for guess in guesses if guess), key=lambda guess: -guess.confidence)
    if not found:
        seen = "; ".join(f"'{c.name}': {c.distinct} different values of {c.filled}" for c in free[:8])
        raise DataError(
            f"no task fits this table ({seen})"
            if not task
            else f"this table does not look like {task} ({seen})",
            where,
            "Text classification needs a column of texts and a column of labels that repeat; if yours has them, "
            "name them with --input and --target.",
        )
    return found


def _with_choices(task: str, guess: Guess | None, columns: Sequence[ColumnProfile]) -> Guess | None:
    """Return a guess with the columns the user chose in place of its own; None when the two contradict."""
    inputs = tuple(c.name for c in columns if c.role == "input")
    target = next((c.name for c in columns if c.role == "target"), "")
    if guess is None:
        # Both columns are chosen: the task is the user's word, and the build will tell.
        return Guess(task, 0.1, inputs, target, (_CHOSEN, _CHOSEN)) if inputs and target else None
    wanted = replace(guess, inputs=inputs or guess.inputs, target=target or guess.target)
    if wanted.target in wanted.inputs:
        return None
    first, second, *more = (*guess.reasons, "", "")
    reasons = (_CHOSEN if inputs else first, _CHOSEN if target else second, *filter(None, more))
    return replace(wanted, reasons=reasons)
