"""A language model behind an API, asked for a number: a grade, a rating, an estimate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from rung.core.model import DataFacts, FitContext
from rung.core.types import Columns, Examples, Prediction, Schema, records
from rung.modalities.tables.target_transform import COVERAGE
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
from rung.runtime.llm.client import Request
from rung.runtime.llm.errors import LlmError
from rung.runtime.llm.replies import Completion

_NAME = "llm_score"
# Fewer rows than these say too little of how far answers lie from the truth.
_FEWEST = 10
# Training rows asked about for the interval, by effort.
_ASKED = {0: 0, 1: 0, 2: 24, 3: 48, 4: 96, 5: 192}


@dataclass(frozen=True)
class LlmScoreParams(PromptedParams):
    """Parameters.

    service: local, ollama, vllm, llamacpp, openai, anthropic, deepseek, qwen, moonshot, or an address ending in /v1.
    model: its full name with version. guidelines: how to score, in your words. name: what the number is, for the prompt.
    examples: the most training rows to show in a prompt. prompt_tokens: of the whole prompt. asked: training rows to
    learn the interval and a straight-line correction on; default by effort. usd_in, usd_out: price of a million tokens, where rung does
    not know it. concurrency: calls at a time.
    """

    name: str = "value"
    asked: int | None = None


class LlmScore(PromptedModel):
    """Use it for numbers that must be read out of words: how urgent, how satisfied, how good."""

    TASKS = frozenset({"tabular_regression"})
    Params = LlmScoreParams

    @classmethod
    def fit(cls, examples: Examples, params: LlmScoreParams, context: FitContext) -> Self:
        """Return the model after a probe of the server; only the interval around its answers is learned."""
        cls.require()
        places, free = drawn_rows(len(examples), _rows_asked(len(examples), params, context), context.seed)
        texts = _texts(examples.inputs)
        truths = np.array(examples.targets, dtype=np.float64)
        kept = free[:POOL_ROWS]
        pool = ExamplePool([texts[i][:POOL_CHARS] for i in kept], [_number_text(truths[i]) for i in kept])
        plan = plan_of(params)
        facts = first_facts(params, context, plan) | {
            "name": params.name, "usual": float(np.median(truths)), "range": [float(truths.min()), float(truths.max())],
            "slope": 1.0, "shift": 0.0, "off": None, "asked": len(places),
        }  # fmt: skip
        model = cls(facts, pool)
        if not places:
            return model
        answers = model.predict(examples.take(places).inputs)
        said = np.array([answer.value for answer in answers if not answer.abstained], dtype=np.float64)
        own = truths[[i for i, answer in zip(places, answers, strict=True) if not answer.abstained]]
        if len(said) < _FEWEST:
            return model
        slope, shift = _line(said, own)
        off = own - (slope * said + shift)
        low, high = np.quantile(off, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]).tolist()
        return cls(facts | {"slope": slope, "shift": shift, "off": [min(low, 0.0), max(high, 0.0)]}, pool)

    @property
    def chosen(self) -> Mapping[str, Any]:
        facts = self._facts
        line = {"slope": round(facts["slope"], 4), "shift": round(facts["shift"], 4)} if facts["off"] else {}
        return {**super().chosen, "rows_asked": facts["asked"], **line}

    def predict(self, inputs: Columns) -> list[Prediction]:
        texts = _texts(inputs)
        requests = [
            self._request(text, shown) for text, shown in zip(texts, self._examples_near(texts), strict=True)
        ]
        return [self._answer(found) for found in self._answers_to(requests)]

    def _request(self, text: str, shown: Sequence[tuple[str, str]]) -> Request:
        schema = {
            "type": "object", "properties": {"value": {"type": "number"}}, "required": ["value"], "additionalProperties": False,
        }  # fmt: skip
        return Request(
            self._plan.number_messages(text, self._facts["name"], shown), max_tokens=32, schema=schema
        )

    def _shown(self, answer: str) -> str:
        return json.dumps({"value": float(answer)})

    def _answer(self, found: Completion | LlmError) -> Prediction:
        """Return the prediction of one answer: the median of training rows, marked, where there is none.

        Answers are held to the range of the training rows: a model that reads "5" as 5,000 must not.
        """
        facts = self._facts
        least, most = facts["range"]
        if isinstance(found, LlmError):
            extra = {"low": least, "high": most, "problem": str(found.problem)}
            return Prediction(facts["usual"], None, True, _NAME, self._usd(found), extra)
        raw = float(np.clip(float(found.value["value"]), -1e300, 1e300))
        value = float(np.clip(facts["slope"] * raw + facts["shift"], least, most))
        low, high = (value + off for off in facts["off"]) if facts["off"] else (least, most)
        return Prediction(value, None, False, _NAME, self._usd(found), {"low": low, "high": high})

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(*cls._read(folder))

    @classmethod
    def calls_of_fit(cls, facts: DataFacts, params: LlmScoreParams, context: FitContext) -> int:
        return _rows_asked(facts.rows, params, context)


def _rows_asked(rows: int, params: LlmScoreParams, context: FitContext) -> int:
    return min(_ASKED[context.effort] if params.asked is None else params.asked, rows // 2)


def _texts(inputs: Columns) -> list[str]:
    """Return one text a row: the only column as it is, several as lines of name and value."""
    if len(inputs) == 1:
        return ["" if cell is None else str(cell) for (cell,) in (row.values() for row in records(inputs))]
    return [
        "\n".join(f"{name}: {cell}" for name, cell in row.items() if cell is not None and cell != "")
        for row in records(inputs)
    ]


def _number_text(value: float) -> str:
    return f"{float(value):.10g}"


def _line(said: Any, truths: Any) -> tuple[float, float]:
    """Return slope and shift from answers to truths by least squares; (1, 0) where they say nothing, or the opposite."""
    spread = float(np.var(said))
    slope = float(np.cov(said, truths, bias=True)[0, 1]) / spread if spread > 0 else 0.0
    if slope <= 0:
        return 1.0, 0.0
    return slope, float(truths.mean() - slope * said.mean())
