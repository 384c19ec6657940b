"""Before anything is fitted: which task a table is, and which rungs fit it, cheapest prediction first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.device import resolve_device
from rung.core.errors import DataError, Problem, RungError, SpecError, did_you_mean
from rung.core.folds import planned_folds
from rung.core.model import DataFacts, FitContext, Ladder, Model, Rung
from rung.core.params import make_params
from rung.core.prices import Prices
from rung.core.spec.cleaning import DEFAULT_KINDS
from rung.core.spec.product import Product, RungSpec
from rung.core.task import ColumnProfile, Guess, Task

_CHOSEN = "as you chose"
# With fewer rows a column of labels does not repeat often enough to be told from others.
_FEWEST_ROWS = 30


def fit_context(product: Product, threads: int, base: Path, seconds: float | None = None) -> FitContext:
    """Return what every fit of this product may use. base: the folder its relative paths start from."""
    device = resolve_device(product.budget.device)
    context = FitContext(
        product.seed, threads, product.budget.effort, seconds, base.resolve(), product.bar[0].metric, device
    )
    options = {"recommend": product.recommend.model_dump(mode="json")} if product.recommend else {}
    kinds = DEFAULT_KINDS if product.privacy.mask_before_llm else ()
    return replace(context, mask_before_llm=kinds, options=options)


def ladder(product: Product, floor: str, facts: DataFacts, prices: Prices, fit: FitContext) -> Ladder:
    """Return the rungs that fit the task, by the planned price of a prediction, the floor among them.

    Where known answers are worth looking up, every rung but the floor stands behind the lookup. Raises SpecError
    for a rung of the spec that does not exist, cannot do the task, has wrong parameters, or cannot be tried here;
    a family nobody named is left out instead.
    """
    before = _before(product, facts, fit)
    problems: list[Problem] = []
    if product.rules and before is None:
        problems.append(Problem(0, "rules", f"{product.task} takes no rules.", "Leave them out."))
    rungs: list[Rung] = []
    left_out: dict[str, RungError] = {}
    for place, spec, is_asked in _wanted(product, before):
        try:
            spec = _defaults(spec, floor, product)
            family, params = _family(spec, product.task)
            reason = family.unavailable(facts, params, fit)
            if reason is None:
                behind = before is not None and spec.model not in (floor, before)
                spec = _behind(str(before), spec, product) if behind else spec
                rungs.append(_rung(spec, product, facts, prices, fit))
            elif is_asked:
                raise reason
            else:
                left_out[spec.name or spec.model] = reason
        except RungError as error:
            problems.append(Problem(0, place, error.problem.rstrip(".") + ".", error.fix))
    if problems:
        raise SpecError(problems, "product.yaml")
    # The floor, and the rival that others are held against, are measured whatever the spec names.
    held_against = [name for name in (floor, registry.task(product.task).rival) if name]
    for name in held_against:
        if name not in {rung.model for rung in rungs}:
            rungs.append(_rung(RungSpec(model=name), product, facts, prices, fit))
    first = held_against[1:] and held_against
    order = sorted(rungs, key=lambda rung: (rung.model not in first, rung.usd_per_1k, rung.name))
    return Ladder(tuple(order), left_out)


def rung_problems(product: Product) -> list[Problem]:
    """Return every rung of the spec that does not exist, cannot do the task, or has a wrong parameter."""
    problems = []
    for index, spec in enumerate(product.ladder or ()):
        try:
            _family(spec, product.task)
        except RungError as error:
            problems.append(Problem(0, f"ladder.{index}", error.problem.rstrip(".") + ".", error.fix))
    return problems


def check_costs(product: Product, task: Task) -> None:
    """Raise SpecError when the spec says what errors cost and the task's answers cannot go by it."""
    if product.costs and not task.takes_costs:
        problem = Problem(0, "costs", f"{product.task} takes no costs.", "Leave them out.")
        raise SpecError([problem], "product.yaml")


def check_rules(product: Product, labels: Sequence[str]) -> None:
    """Raise SpecError naming every rule that answers none of the labels of the training rows."""
    problems = [
        Problem(
            0,
            f"rules.{index}.answer",
            f"no training row has the label '{rule.answer}'.",
            did_you_mean(rule.answer, labels),
        )
        for index, rule in enumerate(product.rules)
        if labels and rule.answer not in labels
    ]
    if problems:
        raise SpecError(problems, "product.yaml")


def _wanted(product: Product, before: str | None) -> list[tuple[str, RungSpec, bool]]:
    """Return the rungs to try: where in the spec each stands, and whether it was asked for."""
    if product.ladder is None:
        found = [(f"ladder.{i}", spec, False) for i, spec in enumerate(_every_rung(product.task, before))]
    else:
        found = [(f"ladder.{i}", spec, True) for i, spec in enumerate(product.ladder)]
    if product.cascade is not None:
        found.append(
            ("cascade", RungSpec(model="cascade", params=product.cascade.model_dump(mode="json")), True)
        )
    return found


def _every_rung(task: str, before: str | None) -> list[RungSpec]:
    """Return every rung of a task that need not be asked for: families and their variants."""
    found = []
    for name in registry.models_for(task):
        family = registry.model(name)
        if family.PLACE == "rung" or name == before:
            found.append(RungSpec(model=name))
            found += [
                RungSpec(model=name, params=dict(params), name=f"{name}-{ending}")
                for ending, params in family.VARIANTS.items()
            ]
    return found


def _before(product: Product, facts: DataFacts, fit: FitContext) -> str | None:
    """Return the family that stands before every rung of this product; None when there is nothing to look up."""
    for name in registry.models_for(product.task):
        family = registry.model(name)
        if family.PLACE == "before":
            params = make_params(family.Params, _known_answers(product))
            if family.unavailable(facts, params, fit) is None:
                return name
    return None


def _known_answers(product: Product) -> dict[str, Any]:
    """Return what the spec says of known answers, as parameters of the family that looks them up."""
    rules = [rule.model_dump(exclude_none=True) for rule in product.rules]
    return {"rules": tuple(rules), "repeats": product.repeats}


def _defaults(spec: RungSpec, floor: str, product: Product) -> RungSpec:
    """Return a rung with what the spec says elsewhere: a lookup of its own ends at the floor."""
    if registry.model(spec.model).PLACE != "before":
        return spec
    return spec.model_copy(update={"params": {"then": floor, **_known_answers(product), **spec.params}})


def _behind(before: str, spec: RungSpec, product: Product) -> RungSpec:
    """Return a rung with the lookup in front of it."""
    params = {"then": spec.model, "params": spec.params, **_known_answers(product)}
    return RungSpec(model=before, name=f"{before}-{spec.name or spec.model}", params=params)


def _family(spec: RungSpec, task: str) -> tuple[type[Model], Any]:
    """Return a rung's family and its parameters, both checked."""
    family = registry.model(spec.model)
    able = registry.models_for(task)
    if spec.model not in able:
        fix = did_you_mean(spec.model, able)
        raise RungError(f"the model '{spec.model}' cannot do {task}", fix=fix)
    return family, make_params(family.Params, spec.params)


def _rung(spec: RungSpec, product: Product, facts: DataFacts, prices: Prices, fit: FitContext) -> Rung:
    family, params = _family(spec, product.task)
    cost = family.cost(facts, params, fit)
    folds = planned_folds(facts.rows, product.data.time is not None, cost.refit_seconds)
    usd = prices.usd(cost.cpu_seconds_per_1k, cost.gpu_seconds_per_1k) + cost.service_usd_per_1k
    return Rung(spec.name or spec.model, spec.model, params, cost, usd, folds + 1)


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
    if not found and rows < _FEWEST_ROWS and not task:
        fix = "Label or collect more: about 50 rows of each label are needed to begin."
        raise DataError(f"{rows} rows are too few to tell what to predict from what", where, fix)
    if not found:
        seen = "; ".join(f"'{c.name}': {c.distinct} different values of {c.filled}" for c in free[:8])
        raise DataError(
            f"no task fits this table ({seen})"
            if not task
            else f"this table does not look like {task} ({seen})",
            where,
            "Text classification needs a column of texts and a column of labels that repeat; if yours has them, "
            "name them with --input and --target. No labels yet? Write a product.yaml with `labelling: {labels: [...]}` and "
            "run `rung label product.yaml`: docs/howto/label-your-data.md.",
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
