"""A language model behind an API, asked for the fields of a text; values that do not stand in the text do not count."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rung.core.errors import BundleError
from rung.core.field_values import field_values, fields_text
from rung.core.model import FitContext
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.prompted_model import (
    POOL_CHARS,
    POOL_ROWS,
    PromptedModel,
    PromptedParams,
    drawn_rows,
    first_facts,
    plan_of,
)
from rung.modalities.text.prompting import ExamplePool
from rung.modalities.text.spans import Span, answer_of, find_value, most_values
from rung.runtime.llm.client import Request
from rung.runtime.llm.errors import LlmError
from rung.runtime.llm.replies import Completion

_NAME = "llm_extract"
# Tokens of each value of an answer, at most, with its quotation marks.
_VALUE_TOKENS = 60
_MOST_TOKENS = 2_000


@dataclass(frozen=True)
class LlmExtractParams(PromptedParams):
    """Parameters.

    service: local, ollama, vllm, llamacpp, openai, anthropic, deepseek, qwen, moonshot, or an address ending in /v1.
    model: its full name with version. guidelines: what to extract, in your words. notes: what a field means, by field.
    examples: the most training rows to show in a prompt. prompt_tokens: of the whole prompt. usd_in, usd_out: price of
    a million tokens, where rung does not know it. concurrency: calls at a time.
    """

    examples: int = 4


class LlmExtract(PromptedModel):
    """Use it for fields that only meaning gives away, and to see what a language model is worth against a tagger."""

    TASKS = frozenset({"text_extraction"})
    Params = LlmExtractParams
    ANSWER_TOKENS = 80

    def __init__(self, most: Mapping[str, int], facts: Mapping[str, Any], pool: ExamplePool) -> None:
        """most: field -> the most values that an answer has of it. pool: texts with the canonical text of their fields."""
        super().__init__(facts, pool)
        self._most = dict(most)

    @classmethod
    def fit(cls, examples: Examples, params: LlmExtractParams, context: FitContext) -> Self:
        """Return the model after a probe of the server; nothing is trained."""
        cls.require()
        texts = join_fields(examples.inputs)
        _, order = drawn_rows(len(examples), 0, context.seed)
        kept = [place for place in order if texts[place].strip()][:POOL_ROWS]
        pool = ExamplePool([texts[i][:POOL_CHARS] for i in kept], [str(examples.targets[i]) for i in kept])
        plan = plan_of(params)
        return cls(most_values(examples.schema), first_facts(params, context, plan), pool)

    def predict(self, inputs: Columns) -> list[Prediction]:
        texts = join_fields(inputs)
        requests = [
            self._request(text, shown) for text, shown in zip(texts, self._examples_near(texts), strict=True)
        ]
        return [
            self._answer(text, found) for text, found in zip(texts, self._answers_to(requests), strict=True)
        ]

    def _request(self, text: str, shown: Sequence[tuple[str, str]]) -> Request:
        return Request(
            self._plan.field_messages(text, list(self._most), shown),
            max_tokens=min(_VALUE_TOKENS * sum(self._most.values()) + 16, _MOST_TOKENS),
            schema=self._schema(),
            top_logprobs=1,
        )

    def _schema(self) -> dict[str, Any]:
        values = {
            name: {"type": "array", "items": {"type": "string"}, "maxItems": most}
            for name, most in self._most.items()
        }
        return {
            "type": "object", "properties": values, "required": list(values), "additionalProperties": False,
        }  # fmt: skip

    def _shown(self, answer: str) -> str:
        found = field_values(answer)
        return json.dumps({name: list(found.get(name, ())) for name in self._most}, ensure_ascii=False)

    def _answer(self, text: str, found: Completion | LlmError) -> Prediction:
        """Return the prediction of one answer: no field, marked, where there is none."""
        if isinstance(found, LlmError):
            extra = {"places": [], "problem": str(found.problem)}
            return Prediction(fields_text({}), 0.0, True, _NAME, self._usd(found), extra)
        # The mean probability of a token: how sure the model was on the whole.
        sure = math.exp(min(sum(t.logprob for t in found.tokens) / max(len(found.tokens), 1), 0.0))
        spans, absent = [], 0
        for name, values in dict(found.value).items():
            for value in values:
                places = find_value(text, str(value))
                absent += not places
                spans += [Span(name, start, end, sure) for start, end in places[:1]]
        answer = answer_of(text, spans, self._most, _NAME)
        told: dict[str, Any] = {**answer.extra, "values_not_in_text": absent}
        return Prediction(answer.value, sure, False, _NAME, self._usd(found), told)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        facts, pool = cls._read(folder)
        most = most_values(schema)
        if not {name for answer in pool.labels for name in field_values(answer)} <= set(most):
            raise BundleError("the stored examples do not fit the fields", folder.name, "Build it again.")
        return cls(most, facts, pool)
