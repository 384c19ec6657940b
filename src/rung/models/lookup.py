"""Answer known texts by rules and by frequent training texts; pass other texts to another model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core import registry
from rung.core.errors import BundleError, RungError, did_you_mean
from rung.core.model import Cost, DataFacts, Explains, FitContext, Model, Probabilities, Reason, answers_from
from rung.core.params import make_params
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.core.unavailable import Unavailable
from rung.modalities.text.ngrams import join_fields, normalize_text
from rung.modalities.text.rules import KINDS, Rule, Rules

Probability = npt.NDArray[np.float64]
_NAME = "lookup"
_NEXT = "next"
# With a smaller share of repeated rows, looking texts up does not save enough to be worth a rung.
_MIN_REPEATED_SHARE = 0.05
_MAX_REPEATS = 100_000
# Prior of a known answer's accuracy: right on nine of ten rows.
_PRIOR_CORRECT, _PRIOR_ROWS = 9.0, 10.0


@dataclass(frozen=True)
class LookupParams:
    """Parameters.

    then, params: the model family for all other texts, and its parameters. rules: as in product.yaml.
    repeats: a text that occurs this often in the training data is answered directly; 0: never.
    """

    then: str = "majority"
    params: dict[str, Any] = field(default_factory=dict)
    rules: tuple[dict[str, str], ...] = ()
    repeats: int = 3


class Lookup(Model):
    """Use it where people send the same texts again and again: a known answer costs almost nothing."""

    TASKS = frozenset({"text_classification"})
    Params = LookupParams
    PLACE = "before"

    def __init__(
        self,
        labels: tuple[str, ...],
        rules: Sequence[Rule],
        seen: npt.NDArray[np.int64],
        repeats: Mapping[bytes, tuple[int, int]],
        following: tuple[str, Model],
    ) -> None:
        """seen: [rules, 2], training rows that each rule answers, and those it answers correctly. repeats:
        digest of a normalised text -> (label number, copies). following: name and model of the next
        family.
        """
        self.labels = labels
        self._rules = Rules(rules)
        self._seen = seen
        self._repeats = dict(repeats)
        self._next_name, self._next = following
        number = {label: i for i, label in enumerate(labels)}
        right, answered = seen[:, 1], seen[:, 0]
        accuracy = (right + _PRIOR_CORRECT) / (answered + _PRIOR_ROWS)
        self._by_rule = [
            _row(number[rule.answer], float(p), len(labels)) for rule, p in zip(rules, accuracy, strict=True)
        ]

    @classmethod
    def fit(cls, examples: Examples, params: LookupParams, context: FitContext) -> Self:
        labels = examples.schema.labels
        rules = [_parse_rule(rule, labels) for rule in params.rules]
        family = registry.model(params.then)
        if family.PLACE == "before":
            raise RungError(
                f"'{params.then}' cannot follow a lookup", fix="Name a family that answers itself."
            )
        family.require()
        following = family.fit(examples, make_params(family.Params, params.params), context)
        number = {label: i for i, label in enumerate(labels)}
        codes = [number[target] for target in examples.targets]
        normalized = [normalize_text(text) for text in join_fields(examples.inputs)]
        seen = np.zeros((len(rules), 2), np.int64)
        known = Rules(rules)
        for text, code in zip(normalized, codes, strict=True):
            index = known.first_match(text)
            if index is not None:
                seen[index] += (1, number[rules[index].answer] == code)
        copies = examples.copies or [1] * len(codes)
        frequent = [
            i for i in range(len(codes)) if params.repeats and copies[i] >= params.repeats and normalized[i]
        ]
        frequent.sort(key=lambda i: (-copies[i], normalized[i]))
        repeats = {_digest(normalized[i]): (codes[i], int(copies[i])) for i in frequent[:_MAX_REPEATS]}
        return cls(labels, rules, seen, repeats, (params.then, following))

    @property
    def children(self) -> Mapping[str, str]:
        return {self._next_name: _NEXT}

    @property
    def assumptions(self) -> str:
        return self._next.assumptions

    @property
    def chosen(self) -> Mapping[str, Any]:
        rules_shown = [
            f"{rule}: right on {right:,} of {answered:,} training rows"
            for rule, (answered, right) in zip(self._rules.rules, self._seen.tolist(), strict=True)
        ]
        found: dict[str, Any] = {"then": self._next_name, "known_texts": len(self._repeats)}
        return {**found, **({"rules": rules_shown} if rules_shown else {}), **self._next.chosen}

    def probabilities(self, inputs: Columns) -> Probability:
        texts = join_fields(inputs)
        known = self._known(texts)
        found = np.zeros((len(texts), len(self.labels)))
        for row, answer in known.items():
            found[row] = answer[0]
        rest = [row for row in range(len(texts)) if row not in known]
        if rest and isinstance(self._next, Probabilities):
            found[rest] = self._next.probabilities(_take(inputs, rest))
        return found

    def predict(self, inputs: Columns) -> list[Prediction]:
        texts = join_fields(inputs)
        known = self._known(texts)
        rest = [row for row in range(len(texts)) if row not in known]
        rows = np.array([known[row][0] for row in sorted(known)]).reshape(-1, len(self.labels))
        answers = dict(zip(sorted(known), answers_from(rows, self.labels, _NAME), strict=True))
        if rest:
            answers |= dict(zip(rest, self._next.predict(_take(inputs, rest)), strict=True))
        return [answers[row] for row in range(len(texts))]

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the rule that answered, or that the text is known; else the explanation of the next model."""
        texts = join_fields(inputs)
        known = self._known(texts)
        rest = [row for row in range(len(texts)) if row not in known]
        found = {row: [Reason(answer[1], 1.0)] for row, answer in known.items()}
        if rest and isinstance(self._next, Explains):
            found |= dict(zip(rest, self._next.explain(_take(inputs, rest), most), strict=True))
        return [found.get(row, []) for row in range(len(texts))]

    def _known(self, texts: Sequence[str]) -> dict[int, tuple[Probability, str]]:
        """Return the probabilities and the reason of each row that is answered without the next model."""
        found: dict[int, tuple[Probability, str]] = {}
        for row, text in enumerate(texts):
            normalized = normalize_text(text)
            index = self._rules.first_match(normalized)
            if index is not None:
                found[row] = self._by_rule[index], str(self._rules.rules[index])
                continue
            repeat = self._repeats.get(_digest(normalized)) if self._repeats else None
            if repeat is not None:
                label, copies = repeat
                accuracy = (copies + _PRIOR_CORRECT) / (copies + _PRIOR_ROWS)
                found[row] = (
                    _row(label, accuracy, len(self.labels)),
                    f"this text stood {copies:,} times in the data",
                )
        return found

    def save(self, folder: Path) -> None:
        """Write rules as they are, known texts as digests only, and the next model in a subfolder."""
        from safetensors.numpy import save_file

        facts = {
            "then": self._next_name,
            "rules": [[rule.kind, rule.text, rule.answer] for rule in self._rules.rules],
        }
        (folder / "lookup.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")
        digests = np.frombuffer(b"".join(self._repeats), np.uint8).reshape(-1, 16)
        answers = np.array(list(self._repeats.values()), np.int64).reshape(-1, 2)
        arrays = {"digests": digests, "answers": answers, "seen": self._seen}
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / "lookup.safetensors")
        (folder / _NEXT).mkdir()
        self._next.save(folder / _NEXT)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        from safetensors.numpy import load_file

        facts = json.loads((folder / "lookup.json").read_text(encoding="utf-8"))
        arrays = load_file(folder / "lookup.safetensors")
        rules = [Rule(*map(str, rule)) for rule in facts["rules"]]
        family = registry.model(str(facts["then"]))
        answers, seen = arrays["answers"], arrays["seen"]
        sound = (
            family.PLACE != "before"
            and all(rule.kind in KINDS and rule.answer in schema.labels for rule in rules)
            and bool(
                ((answers[:, 0] >= 0) & (answers[:, 0] < len(schema.labels)) & (answers[:, 1] > 0)).all()
            )
            and seen.shape == (len(rules), 2)
            and bool(((seen[:, 1] >= 0) & (seen[:, 1] <= seen[:, 0])).all())
        )
        if not sound:
            raise BundleError("the stored answers do not fit the labels", folder.name, "Build it again.")
        repeats = {
            digest.tobytes(): (label, copies)
            for digest, (label, copies) in zip(arrays["digests"], answers.tolist(), strict=True)
        }
        following = family.load(folder / _NEXT, schema)
        return cls(schema.labels, rules, seen, repeats, (str(facts["then"]), following))

    @classmethod
    def unavailable(cls, facts: DataFacts, params: LookupParams, context: FitContext) -> RungError | None:
        if params.rules or (params.repeats and facts.repeated >= _MIN_REPEATED_SHARE):
            return None
        return Unavailable("no_rules", repeated=f"{facts.repeated:.0%}")

    @classmethod
    def cost(cls, facts: DataFacts, params: LookupParams, context: FitContext) -> Cost:
        family = registry.model(params.then)
        following_cost = family.cost(facts, make_params(family.Params, params.params), context)
        lookup_seconds = facts.chars_per_row * 2e-8 + len(params.rules) * 5e-7 + 2e-6
        rest = 1.0 - facts.repeated
        return replace(
            following_cost,
            fit_seconds=following_cost.fit_seconds + facts.rows * lookup_seconds,
            cpu_seconds_per_1k=following_cost.cpu_seconds_per_1k * rest + lookup_seconds * 1000,
            gpu_seconds_per_1k=following_cost.gpu_seconds_per_1k * rest,
            service_usd_per_1k=following_cost.service_usd_per_1k * rest,
            memory_mb=following_cost.memory_mb + 1,
            size_mb=following_cost.size_mb + 0.01,
        )


def _parse_rule(raw: Mapping[str, str], labels: Sequence[str]) -> Rule:
    if "answer" not in raw or sum(kind in raw for kind in KINDS) != 1:
        raise RungError(
            f"a rule needs an answer and one of {', '.join(KINDS)}, not {dict(raw)}",
            fix="{contains: refund, answer: billing}, say.",
        )
    rule = Rule.from_dict(raw)
    if rule.answer not in labels:
        raise RungError(
            f"the rule {rule} answers a label that no training row has", fix=did_you_mean(rule.answer, labels)
        )
    return rule


def _row(label: int, probability: float, labels: int) -> Probability:
    """Return the probabilities of all labels: the given one for its label, which is always the largest."""
    accuracy = max(probability, 1.0 / labels + 1e-3)
    row = np.full(labels, (1.0 - accuracy) / max(labels - 1, 1))
    row[label] = accuracy
    return row


def _digest(normalized: str) -> bytes:
    return hashlib.blake2b(
        normalized.encode("utf-8", "surrogatepass"), digest_size=16, key=b"rung-lookup"
    ).digest()


def _take(inputs: Columns, rows: Sequence[int]) -> dict[str, list[Any]]:
    return {name: [column[row] for row in rows] for name, column in inputs.items()}
