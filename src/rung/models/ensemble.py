"""Several models whose probabilities are averaged: what they get wrong is rarely the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError, RungError
from rung.core.member_families import MemberFamily, MemberRules
from rung.core.model import Cost, DataFacts, Explains, FitContext, Model, Reason, answers_from
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.runtime.cascade.hand_on import rows_of
from rung.runtime.linear.head import Calibration

Floats = npt.NDArray[np.float64]
_FACTS = "ensemble.json"
# A member with less weight would cost its whole price and change hardly an answer.
_LEAST_WEIGHT = 0.05
# Fewer rows do not tell weights: members then count alike.
_LEAST_ROWS = 30
_RULES = MemberRules(
    "an ensemble",
    "member",
    "{model: ensemble, params: {members: [{model: blend}, {model: finetuned_encoder}]}}",
    5,
    frozenset({"ensemble", "cascade", "lookup", "majority"}),
)


@dataclass(frozen=True)
class EnsembleParams:
    """Parameters.

    members: {model, params} of each. weights: of the members, in their order; None: those with the least log loss on
    rows that no member learned from.
    """

    members: tuple[dict[str, Any], ...] = ()
    weights: tuple[float, ...] | None = None


class Ensemble(Model):
    """Use it for the last points of accuracy, where the price of all members together is still low enough."""

    TASKS = frozenset({"text_classification", "image_classification"})
    Params = EnsembleParams
    PLACE = "asked"
    VALIDATION_SHARE = 0.15

    def __init__(
        self, labels: tuple[str, ...], members: Sequence[tuple[str, Model]], facts: Mapping[str, Any]
    ) -> None:
        """members: name and model of each. facts: the content of ensemble.json."""
        self.labels = labels
        self._members, self._facts = tuple(members), dict(facts)
        self._calibration = Calibration(scale=float(facts["scale"]))

    @classmethod
    def fit(cls, examples: Examples, params: EnsembleParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.linear.calibration import calibrate
        from rung.training.linear.pooling import pooling_weights
        from rung.training.linear.search import encode_labels

        members = _RULES.read(params.members)
        for member in members:
            member.family.require()
        held, labels = context.validation, examples.schema.labels
        fitted = []
        for number, member in enumerate(members):
            context.report(number, len(members) + 1)
            fitted.append((member.name, _fit_member(member, examples, context, number)))
        weights, scale = np.full(len(members), 1.0 / len(members)), 1.0
        tells = held is not None and len(held) >= _LEAST_ROWS
        if held is not None and tells:
            answers = [rows_of(model.predict(held.inputs)) for _, model in fitted]
            codes = encode_labels(held.targets, labels)
            weights = pooling_weights(answers, codes)
        if params.weights is not None:
            weights = _given_weights(params.weights, len(members))
        kept = [number for number, weight in enumerate(weights) if weight >= _LEAST_WEIGHT]
        weights = weights[kept] / weights[kept].sum()
        if held is not None and tells:
            scores = np.log(weighted_mean([answers[number] for number in kept], weights).clip(1e-12))
            scale = calibrate(scores, codes, context.seed, allow_isotonic=False, conservative=True).scale
        everything = examples if held is None else examples.join(held)
        final = []
        for number in kept:
            member, (name, model) = members[number], fitted[number]
            if held is not None and not member.family.VALIDATION_SHARE:
                model = _fit_member(member, everything, replace(context, validation=None), number)
            final.append((name, model))
        facts = {
            "members": [name for name, _ in final], "weights": [round(float(w), 4) for w in weights], "scale": scale,
            "left_out": [members[n].name for n in range(len(members)) if n not in kept],
            "weight_rows": len(held) if held is not None and tells and params.weights is None else 0,
        }  # fmt: skip
        return cls(labels, final, facts)

    @property
    def children(self) -> Mapping[str, str]:
        return _RULES.folders([name for name, _ in self._members])

    @property
    def assumptions(self) -> str:
        return " ".join(filter(None, (model.assumptions for _, model in self._members)))

    @property
    def chosen(self) -> Mapping[str, Any]:
        return {key: self._facts[key] for key in ("members", "weights", "left_out", "weight_rows")}

    def probabilities(self, inputs: Columns) -> Floats:
        return self._pooled([model.predict(inputs) for _, model in self._members])

    def _pooled(self, answers: Sequence[Sequence[Prediction]]) -> Floats:
        parts = [rows_of(found).reshape(-1, len(self.labels)) for found in answers]
        mean = weighted_mean(parts, np.array(self._facts["weights"]))
        return self._calibration.apply(np.log(mean.clip(1e-12)))

    def predict(self, inputs: Columns) -> list[Prediction]:
        answers = [model.predict(inputs) for _, model in self._members]
        found = answers_from(self._pooled(answers), self.labels, "ensemble")
        spent = [sum(own.cost for own in row) for row in zip(*answers, strict=True)]
        return [replace(answer, cost=cost) for answer, cost in zip(found, spent, strict=True)]

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the reasons of the member with the largest weight that gives any."""
        order = np.argsort(self._facts["weights"])[::-1]
        for number in order:
            model = self._members[int(number)][1]
            if isinstance(model, Explains):
                return model.explain(inputs, most)
        return [[] for _ in next(iter(inputs.values()), ())]

    def save(self, folder: Path) -> None:
        text = json.dumps(self._facts, ensure_ascii=False, indent=1)
        (folder / _FACTS).write_text(text + "\n", encoding="utf-8")
        _RULES.save([model for _, model in self._members], folder)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        names, weights = list(facts["members"]), list(facts["weights"])
        if len(names) != len(weights) or not 1 <= len(names) <= _RULES.most or _RULES.refused & set(names):
            raise BundleError("the stored weights do not fit the members", folder.name, "Build it again.")
        return cls(schema.labels, _RULES.load(names, folder, schema), facts)

    @classmethod
    def unavailable(cls, facts: DataFacts, params: EnsembleParams, context: FitContext) -> RungError | None:
        return _RULES.unavailable(params.members, facts, context)

    @classmethod
    def cost(cls, facts: DataFacts, params: EnsembleParams, context: FitContext) -> Cost:
        found = Cost(1.0, 1e-3, 20, 0.01)
        for member in _RULES.read(params.members) if params.members else ():
            one = member.family.cost(facts, member.params, context)
            fits = 1 if member.family.VALIDATION_SHARE else 2
            kept = found.cached_seconds + fits * one.cached_seconds
            found = replace(found.plus(one, fits), cached_seconds=kept)
        return found


def weighted_mean(members: Sequence[Floats], weights: Floats) -> Floats:
    """Return the weighted mean of probabilities, [rows, labels]."""
    return np.asarray(np.tensordot(weights, np.stack(members), axes=1))


def _fit_member(member: MemberFamily, examples: Examples, context: FitContext, number: int) -> Model:
    """Return a member fitted on these rows; a network does not learn from the rows that choose the weights."""
    params = member.params
    if context.validation is not None and any(field.name == "refit" for field in fields(params)):
        params = replace(params, refit=False)
    scratch = context.scratch / f"member-{number}" if context.scratch is not None else None
    return member.family.fit(examples, params, replace(context, scratch=scratch))


def _given_weights(given: Sequence[float], count: int) -> Floats:
    weights = np.array(given, np.float64)
    if len(weights) != count or not np.isfinite(weights).all() or weights.min() < 0 or not weights.sum():
        raise RungError(
            f"weights is {list(given)}", "weights", f"Give {count} numbers of at least 0, not all of them 0."
        )
    return np.asarray(weights / weights.sum())
