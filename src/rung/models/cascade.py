"""Models in a row, cheapest first: each answers what it is sure of and hands the rest on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError, RungError
from rung.core.folds import assign_folds, planned_folds
from rung.core.member_families import MemberFamily, MemberRules
from rung.core.model import Cost, DataFacts, Explains, FitContext, Model, Reason
from rung.core.types import Columns, Examples, Prediction, Schema, take_rows
from rung.runtime.cascade.hand_on import SIGNALS, HandOn, Signal, rows_of

_NAME, _FACTS = "cascade", "cascade.json"
# Share of rows that a plan expects to reach each stage, before anything is measured.
_PLANNED_SHARE = (1.0, 0.25, 0.1)
# Training rows that a stage which charges is asked about to choose thresholds, by effort.
_PAID_ROWS = {0: 50, 1: 100, 2: 200, 3: 400, 4: 800, 5: 1600}
_MOST_STAGES = 4
_RULES = MemberRules(
    "a cascade",
    "stage",
    "cascade: {stages: [tfidf_linear, blend]}, cheapest first",
    _MOST_STAGES,
    frozenset({"cascade", "ensemble"}),
)


@dataclass(frozen=True)
class CascadeParams:
    """Parameters.

    stages: {model, params} of each, cheapest first. within: how much accuracy may be lost against the last stage on
    training rows, for fewer calls of it. by: the signal that decides; auto takes the one that hands on fewest rows.
    abstain: answers whose probability is below this are marked for a person; 0: never. selective_error: instead of it,
    the threshold is searched by Learn then Test: with 95 % confidence at most this share of the other answers is wrong.
    """

    stages: tuple[dict[str, Any], ...] = ()
    within: float = 0.005
    by: Literal["auto", "confidence", "margin", "benefit"] = "auto"
    abstain: float = 0.0
    selective_error: float | None = None


class Cascade(Model):
    """Use it where a dear model is the best: a cheap one answers most rows, and the dear one the rest."""

    TASKS = frozenset({"text_classification"})
    Params = CascadeParams
    PLACE = "asked"

    def __init__(
        self,
        labels: tuple[str, ...],
        stages: Sequence[tuple[str, Model]],
        rules: Sequence[HandOn],
        facts: Mapping[str, Any],
    ) -> None:
        """stages: name and model of each. rules: of every stage but the last. facts: the content of cascade.json."""
        self.labels = labels
        self._stages, self._rules, self._facts = tuple(stages), tuple(rules), dict(facts)

    @classmethod
    def fit(cls, examples: Examples, params: CascadeParams, context: FitContext) -> Self:
        cls.require()
        stages = _RULES.read(params.stages)
        for stage in stages:
            stage.family.require()
        if params.selective_error is None:
            return cls._fit(stages, examples, params, context)[0]
        learn, spare = _spared(stages, examples, params.selective_error, context)
        model, (scores, right) = cls._fit(stages, examples.take(learn), params, context)
        return model._tested(examples.take(spare), scores, right, params.selective_error)

    @classmethod
    def _fit(
        cls,
        stages: Sequence[MemberFamily],
        examples: Examples,
        params: CascadeParams,
        context: FitContext,
    ) -> tuple[Self, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]:
        """Return the cascade, and of the rows that chose its thresholds how sure and whether right the answers were."""
        from rung.training.cascade.thresholds import choose

        asked, held_out = _held_out(stages, examples, context)
        truths = np.array([examples.targets[i] for i in asked])
        right = [np.array([answer.value for answer in answers]) == truths for answers in held_out]
        signals: tuple[Signal, ...] = SIGNALS if params.by == "auto" else (params.by,)
        rules: list[HandOn] = []
        handed: list[float] = []
        tried: list[dict[str, float]] = []
        later, sure = right[-1], rows_of(held_out[-1]).max(axis=1)
        # From the last but one back to the first: what lies behind a stage is decided before it is.
        for number in range(len(stages) - 2, -1, -1):
            rows = rows_of(held_out[number])
            found = choose(rows, right[number], later, params.within / (len(stages) - 1), signals)
            kept = found.rule.keeps(rows)
            later, sure = np.where(kept, right[number], later), np.where(kept, rows.max(axis=1), sure)
            rules.insert(0, found.rule)
            handed.insert(0, round(found.handed, 4))
            tried.insert(0, {signal: round(share, 4) for signal, share in found.tried.items()})
        fitted = [(stage.name, stage.family.fit(examples, stage.params, context)) for stage in stages]
        facts = {
            "stages": [name for name, _ in fitted], "rules": [rule.as_dict() for rule in rules], "abstain": params.abstain,
            "handed_on": handed, "handed_on_by_signal": tried, "threshold_rows": len(asked),
            "last_stage_accuracy": round(float(right[-1].mean()), 4),
        }  # fmt: skip
        return cls(examples.schema.labels, fitted, rules, facts), (sure, later)

    def _tested(
        self,
        spare: Examples,
        scores: npt.NDArray[np.float64],
        right: npt.NDArray[np.bool_],
        most_error: float,
    ) -> Self:
        """Return the cascade with the threshold that Learn then Test finds on rows that no stage has learned from."""
        from rung.training.cascade.selective import learn_then_test, order_of_tests

        answers = self.predict(spare.inputs)
        order = order_of_tests(scores, right, len(spare), most_error)
        sure = np.array([answer.score or 0.0 for answer in answers])
        correct = np.array([a.value == t for a, t in zip(answers, spare.targets, strict=True)], dtype=bool)
        found = learn_then_test(order, sure, correct, most_error)
        if found is None:
            raise RungError(
                f"no threshold keeps the errors of the answered rows below {most_error:g}: {len(spare)} rows were tried, "
                f"{1 - correct.mean():.3f} of all answers are wrong",
                "cascade.selective_error",
                "Raise selective_error, add rows, or name stronger stages.",
            )
        facts = {**self._facts, "abstain": found.threshold, "selective": found.as_dict()}
        return type(self)(self.labels, self._stages, self._rules, facts)

    @property
    def children(self) -> Mapping[str, str]:
        return _RULES.folders([name for name, _ in self._stages])

    @property
    def assumptions(self) -> str:
        return " ".join(filter(None, (model.assumptions for _, model in self._stages)))

    @property
    def chosen(self) -> Mapping[str, Any]:
        facts = {
            key: self._facts[key] for key in ("stages", "handed_on", "threshold_rows", "last_stage_accuracy")
        }
        return {
            **facts,
            "signals": [rule.signal for rule in self._rules],
            "thresholds": [round(rule.threshold, 4) for rule in self._rules],
            "handed_on_by_signal": json.dumps(self._facts["handed_on_by_signal"]),
            **({"abstains_below": round(self._facts["abstain"], 4)} if self._facts["abstain"] else {}),
            **self._facts.get("selective", {}),
        }

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        return rows_of(self.predict(inputs)).reshape(-1, len(self.labels))

    def predict(self, inputs: Columns) -> list[Prediction]:
        """Return the answer of the first stage that keeps each row; its cost is that of all stages that were asked."""
        total = len(next(iter(inputs.values()), ()))
        answers: dict[int, Prediction] = {}
        spent = np.zeros(total)
        rest = np.arange(total)
        for number, (name, model) in enumerate(self._stages):
            if not len(rest):
                break
            found = model.predict(take_rows(inputs, rest.tolist()))
            spent[rest] += [answer.cost for answer in found]
            is_last = number == len(self._stages) - 1
            kept = np.ones(len(rest), dtype=bool) if is_last else self._rules[number].keeps(rows_of(found))
            for place in np.flatnonzero(kept).tolist():
                answers[int(rest[place])] = self._own(found[place], name)
            rest = rest[~kept]
        return [replace(answers[row], cost=float(spent[row])) for row in range(total)]

    def _own(self, answer: Prediction, name: str) -> Prediction:
        unsure = (answer.score or 0.0) < self._facts["abstain"]
        return replace(answer, answered_by=answer.answered_by or name, abstained=answer.abstained or unsure)

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the reasons of the first stage, for every row: the later ones are not asked for reasons."""
        first = self._stages[0][1]
        if isinstance(first, Explains):
            return first.explain(inputs, most)
        return [[] for _ in next(iter(inputs.values()), ())]

    def save(self, folder: Path) -> None:
        text = json.dumps(self._facts, ensure_ascii=False, indent=1)
        (folder / _FACTS).write_text(text + "\n", encoding="utf-8")
        _RULES.save([model for _, model in self._stages], folder)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        names, rules = list(facts["stages"]), [HandOn.from_dict(rule) for rule in facts["rules"]]
        widths = {0, 6 + len(schema.labels)}
        is_sound = len(rules) == len(names) - 1 and all(len(rule.weights) in widths for rule in rules)
        if not is_sound or _NAME in names or not 2 <= len(names) <= _MOST_STAGES:
            raise BundleError("the stored rules do not fit the stages", folder.name, "Build it again.")
        return cls(schema.labels, _RULES.load(names, folder, schema), rules, facts)

    @classmethod
    def unavailable(cls, facts: DataFacts, params: CascadeParams, context: FitContext) -> RungError | None:
        return _RULES.unavailable(params.stages, facts, context)

    @classmethod
    def cost(cls, facts: DataFacts, params: CascadeParams, context: FitContext) -> Cost:
        found = Cost(0.0, 1e-3, 20, 0.01)
        if not params.stages:
            return replace(found, fit_seconds=1e-6 * facts.rows)
        folds = planned_folds(facts.rows, False)
        for number, stage in enumerate(_RULES.read(params.stages)):
            one = stage.family.cost(facts, stage.params, context)
            share = _PLANNED_SHARE[min(number, len(_PLANNED_SHARE) - 1)]
            found = found.plus(one, 2 if one.service_usd_per_1k else folds + 1, share)
        return found


def _spared(
    stages: Sequence[MemberFamily], examples: Examples, most_error: float, context: FitContext
) -> tuple[list[int], list[int]]:
    """Return the rows to learn from, and one row a unit of a fifth of the units, which no stage learns from.

    Of stages that charge at most as many are asked as choose thresholds. Raises RungError where they are too few.
    """
    from rung.training.cascade.selective import rows_needed

    spared = assign_folds(5, examples.units, [str(target) for target in examples.targets]) == 0
    learn = np.flatnonzero(~spared).tolist()
    rng = np.random.default_rng(context.seed + 2)
    order = rng.permutation(np.flatnonzero(spared)).tolist()
    first = {examples.units[i]: i for i in reversed(order)}
    most = _PAID_ROWS[context.effort] if any(_charges(stages, examples, context)) else len(first)
    spare = sorted(list(first.values())[:most])
    needed = rows_needed(most_error)
    if len(spare) < needed:
        raise RungError(
            f"{len(spare)} rows are kept for `selective_error: {most_error:g}`; {needed} faultless ones are needed at least",
            "cascade.selective_error",
            "Raise selective_error, or add rows.",
        )
    return learn, spare


def _charges(stages: Sequence[MemberFamily], examples: Examples, context: FitContext) -> list[bool]:
    """Return which stages ask services that charge."""
    facts = DataFacts(len(examples), len(examples.schema.labels), 100.0)
    return [bool(s.family.cost(facts, s.params, context).service_usd_per_1k) for s in stages]


def _held_out(
    stages: Sequence[MemberFamily], examples: Examples, context: FitContext
) -> tuple[list[int], list[list[Prediction]]]:
    """Return rows, and each stage's answers to them by a model that had not learned from them.

    Where a stage charges, they are a sample, and that stage is fitted once on the other rows.
    """
    charges = _charges(stages, examples, context)
    asked = list(range(len(examples)))
    if any(charges):
        count = min(_PAID_ROWS[context.effort], len(examples) // 3)
        order = np.random.default_rng(context.seed + 1).permutation(len(examples))
        asked = sorted(order[:count].tolist())
    folds = planned_folds(len(examples), False)
    part = assign_folds(
        folds if folds > 1 else 5, examples.units, [str(target) for target in examples.targets]
    )
    if folds == 1:
        asked = [i for i in asked if part[i] == 0]
    found = []
    for number, stage in enumerate(stages):
        context.report(number, len(stages) + 1)
        answers: dict[int, Prediction] = {}
        parts = (
            [(set(asked), asked)]
            if charges[number]
            else [
                (set(np.flatnonzero(part == k).tolist()), [i for i in asked if part[i] == k])
                for k in range(folds)
            ]
        )
        for gone, test in parts:
            if test:
                learn = [i for i in range(len(examples)) if i not in gone]
                model = stage.family.fit(examples.take(learn), stage.params, context)
                answers |= dict(zip(test, model.predict(examples.take(test).inputs), strict=True))
        found.append([answers[i] for i in asked])
    return asked, found
