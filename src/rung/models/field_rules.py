"""Rules for fields, learned from rows: what stands before a value, its shape, and what stands after it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rung.core.errors import BundleError
from rung.core.model import Cost, DataFacts, FitContext, Model
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.text.field_patterns import FieldRule, RuleSet
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.spans import answer_of, most_values

_NAME, _FILE = "field_rules", "rules.json"
# Rules that report and card show.
_SHOWN = 12


@dataclass(frozen=True)
class FieldRulesParams:
    """Parameters. precision: the least share of its places that a rule is right at, on training rows.

    min_right: at how many places at least. most_rules: of all fields.
    """

    precision: float = 0.8
    min_right: int = 2
    most_rules: int = 5_000


class FieldRules(Model):
    """Use it for letters and forms of few patterns: it answers in a fraction of a millisecond and its rules can be read."""

    TASKS = frozenset({"text_extraction"})
    Params = FieldRulesParams

    def __init__(self, rules: RuleSet, most: Mapping[str, int]) -> None:
        """most: field -> the most values that an answer has of it."""
        self._rules, self._most = rules, dict(most)

    @classmethod
    def fit(cls, examples: Examples, params: FieldRulesParams, context: FitContext) -> Self:
        from rung.training.text.field_rule_search import learn_rules

        texts, targets = join_fields(examples.inputs), [str(target) for target in examples.targets]
        rules = learn_rules(texts, targets, params.precision, params.min_right, params.most_rules)
        return cls(RuleSet(rules), most_values(examples.schema))

    @property
    def chosen(self) -> Mapping[str, Any]:
        rules = self._rules.rules
        counts = Counter(rule.field for rule in rules)
        shown = [f"{rule.field}: {rule.pattern}" for rule in rules[:_SHOWN]]
        return {"rules": len(rules), "rules_by_field": dict(counts), "most_used": shown}

    def predict(self, inputs: Columns) -> list[Prediction]:
        return [answer_of(text, self._rules.spans(text), self._most, _NAME) for text in join_fields(inputs)]

    def save(self, folder: Path) -> None:
        facts = {"most": self._most, "rules": [rule.as_dict() for rule in self._rules.rules]}
        text = json.dumps(facts, ensure_ascii=False)
        (folder / _FILE).write_text(text + "\n", encoding="utf-8", errors="replace")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        facts = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        try:
            rules = [FieldRule.from_dict(raw) for raw in facts["rules"]]
        except (KeyError, TypeError, ValueError):
            raise BundleError("a rule cannot be read", _FILE, "Build it again.") from None
        return cls(RuleSet(rules), facts["most"])

    @classmethod
    def cost(cls, facts: DataFacts, params: FieldRulesParams, context: FitContext) -> Cost:
        chars = facts.rows * facts.chars_per_row
        return Cost(
            0.1 + chars * 2e-5, 0.05 + facts.chars_per_row * 0.004, 50, 0.1 + min(facts.rows, 5_000) * 1e-4
        )
