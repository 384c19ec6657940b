"""A tagger of fields: a conditional random field over words, shapes and neighbours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rung.core.model import Cost, DataFacts, FitContext, Model
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.text.linear_chain import LinearChain
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.span_features import token_features
from rung.modalities.text.spans import Span, answer_of, most_values, tokens_of

_NAME, _CHOSEN = "field_tagger", "tagger.json"


@dataclass(frozen=True)
class FieldTaggerParams:
    """Parameters. l1, l2: penalties of the weights; None: chosen on training rows within the effort.

    iterations: at most, of the fit; None: by effort. min_rows: how often a feature must occur in training texts.
    """

    l1: float | None = None
    l2: float | None = None
    iterations: int | None = None
    min_rows: int = 1


class FieldTagger(Model):
    """Use it for fields that words around them or their own form give away: names, amounts, dates, numbers of orders."""

    NEEDS = "build"
    PACKAGES = ("pycrfsuite",)
    TASKS = frozenset({"text_extraction"})
    Params = FieldTaggerParams

    def __init__(self, chain: LinearChain, most: Mapping[str, int], chosen: Mapping[str, Any]) -> None:
        """most: field -> the most values that an answer has of it."""
        self._chain, self._most, self._chosen = chain, dict(most), dict(chosen)

    @classmethod
    def fit(cls, examples: Examples, params: FieldTaggerParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.text.tagger_fit import fit_chain, iterations_of, mark_rows, search_penalty

        texts, targets = join_fields(examples.inputs), [str(target) for target in examples.targets]
        most = most_values(examples.schema)
        rows = mark_rows(texts, targets)

        def predict(chain: LinearChain, text: str) -> str:
            return str(cls(chain, most, {})._answer(text).value)

        (l1, l2), scores = search_penalty(
            texts, targets, rows.texts, context.effort, context.seed, predict,
            lambda done, total: context.report(done, total + 1, {}),
        )  # fmt: skip
        l1, l2 = (l1 if params.l1 is None else params.l1), (l2 if params.l2 is None else params.l2)
        steps = params.iterations or iterations_of(context.effort)
        chain = fit_chain(rows.texts, (l1, l2), steps, params.min_rows)
        chosen = {
            "l1": l1, "l2": l2, "features_kept": len(chain.features), "tags": len(chain.tags),
            "values_not_in_text": rows.absent, "values_inside_a_word": rows.inside_tokens,
        }  # fmt: skip
        return cls(chain, most, chosen | ({"tried": scores} if scores else {}))

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._chosen

    def predict(self, inputs: Columns) -> list[Prediction]:
        return [self._answer(text) for text in join_fields(inputs)]

    def _answer(self, text: str) -> Prediction:
        tokens = tokens_of(text)
        tags, chances = self._chain.decode(token_features(text, tokens))
        spans: list[Span] = []
        for (start, end), tag, chance in zip(tokens, tags, chances.tolist(), strict=True):
            if tag.startswith("B-"):
                spans.append(Span(tag[2:], start, end, min(chance, 1.0)))
            elif tag.startswith("I-") and spans:
                last = spans.pop()
                spans.append(Span(last.field, last.start, end, min(last.score, chance)))
        return answer_of(text, spans, self._most, _NAME)

    def save(self, folder: Path) -> None:
        self._chain.save(folder)
        facts = {"most": self._most, "chosen": self._chosen}
        (folder / _CHOSEN).write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        facts = json.loads((folder / _CHOSEN).read_text(encoding="utf-8"))
        return cls(LinearChain.load(folder), facts["most"], facts["chosen"])

    @classmethod
    def cost(cls, facts: DataFacts, params: FieldTaggerParams, context: FitContext) -> Cost:
        tokens = facts.rows * facts.chars_per_row / 4
        fit = 0.5 + tokens * 1.2e-4 * (2 + context.effort)
        size = 0.2 + min(tokens * 4, 4e6) * 5e-5 / 4
        return Cost(fit, 0.2 + facts.chars_per_row * 0.012, 60 + 3 * size, size)
