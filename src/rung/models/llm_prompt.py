"""A language model behind an API, asked for one of the labels with a prompt that was chosen on training rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.core.model import DataFacts, FitContext, answers_from
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
from rung.modalities.text.prompting import INSTRUCTIONS, ExamplePool, PromptPlan
from rung.runtime.llm.client import Request
from rung.runtime.llm.errors import LlmError
from rung.runtime.llm.label_confidence import label_probabilities, mended
from rung.runtime.llm.replies import Completion

Probability = npt.NDArray[np.float64]
_NAME = "llm_prompt"
_ALTERNATIVES, _SAMPLE_TEMPERATURE = 20, 0.7
# What a row without a usable answer gets: even odds for all labels but a little more for the most frequent one.
_NO_ANSWER = 1e-3


@dataclass(frozen=True)
class LlmPromptParams(PromptedParams):
    """Parameters.

    service: local, ollama, vllm, llamacpp, openai, anthropic, deepseek, qwen, moonshot, or an address ending in /v1.
    model: its full name with version. guidelines: how to label, in your words. notes: what a label means, by label.
    examples: the most training rows to show in a prompt. prompt_tokens: of the whole prompt. search: training rows to
    choose the prompt on; default by effort. confidence: from log-probabilities, or from the agreement of several
    answers; auto: the former where the server gives them, else the accuracy on the searched rows. samples: how many
    answers. usd_in, usd_out: price of a million tokens, where rung does not know it. concurrency: calls at a time.
    """

    search: int | None = None
    confidence: Literal["auto", "logprobs", "samples"] = "auto"
    samples: int = 5


class LlmPrompt(PromptedModel):
    """Use it to see what a language model is worth on your labels, and where nothing cheaper clears the bar."""

    TASKS = frozenset({"text_classification"})
    Params = LlmPromptParams

    def __init__(self, labels: tuple[str, ...], facts: Mapping[str, Any], pool: ExamplePool) -> None:
        """facts: the content of prompt.json. pool: labelled texts to show."""
        super().__init__(facts, pool)
        self.labels = labels

    @classmethod
    def fit(cls, examples: Examples, params: LlmPromptParams, context: FitContext) -> Self:
        """Return the model after a probe of the server and a search for the prompt; nothing is trained."""
        cls.require()
        from rung.training.text.prompt_search import SEARCH_ROWS, candidates, search_prompts

        labels = examples.schema.labels
        count = min(
            SEARCH_ROWS[context.effort] if params.search is None else params.search, len(examples) // 2
        )
        places, free = drawn_rows(len(examples), count, context.seed)
        asked = examples.take(places)
        texts = join_fields(examples.inputs)
        pool = ExamplePool(*_spread(texts, examples.targets, free, labels))
        first = plan_of(params)
        facts = first_facts(params, context, first, params.confidence == "logprobs") | {
            "confidence": params.confidence, "samples": params.samples, "accuracy": None, "temperature": 1.0, "mixed": 0.05,
            "usual": Counter(examples.targets).most_common(1)[0][0], "searched": {"rows": 0, "prompts": 1},
        }  # fmt: skip
        model = cls(labels, facts, pool)
        if not count:
            return model
        plans = candidates(first, context.effort)
        found = search_prompts(
            plans, asked.targets, lambda plan: model._with(plan=plan.as_dict())._raw(asked.inputs), labels,
            lambda done, total: context.report(done, total, {}),
        )  # fmt: skip
        return model._with(
            plan=found.plan.as_dict(), accuracy=found.accuracy, temperature=found.temperature, mixed=found.mixed,
            searched={"rows": found.rows, "prompts": found.tried},
        )  # fmt: skip

    def _with(self, **changed: Any) -> Self:
        """Return the model with other facts and the same pool."""
        return type(self)(self.labels, {**self._facts, **changed}, self._pool)

    @property
    def chosen(self) -> Mapping[str, Any]:
        found = self._facts
        shown: dict[str, Any] = {
            **super().chosen, "instruction": INSTRUCTIONS[self._plan.instruction], "searched_rows": found["searched"]["rows"],
            "searched_prompts": found["searched"]["prompts"],
        }  # fmt: skip
        return shown | (
            {"search_accuracy": round(found["accuracy"], 4)} if found["accuracy"] is not None else {}
        )

    def probabilities(self, inputs: Columns) -> Probability:
        rows = [answer.extra["probabilities"] for answer in self.predict(inputs)]
        return np.array(rows).reshape(-1, len(self.labels))

    def predict(self, inputs: Columns) -> list[Prediction]:
        answers = self._raw(inputs)
        if not answers:
            return []
        raw = np.array([answer.extra["probabilities"] for answer in answers])
        rows = mended(raw, self._facts["temperature"], self._facts["mixed"])
        return [
            Prediction(a.value, float(row[self.labels.index(a.value)]), a.abstained, _NAME, a.cost, {**a.extra, "probabilities": row})
            for a, row in zip(answers, rows, strict=True)
        ]  # fmt: skip

    def _raw(self, inputs: Columns) -> list[Prediction]:
        """Return answers with probabilities as the model gives them, not calibrated."""
        texts = join_fields(inputs)
        times = self._facts["samples"] if self._facts["confidence"] == "samples" else 1
        requests = [
            self._request(text, shown, sample)
            for text, shown in zip(texts, self._examples_near(texts), strict=True)
            for sample in range(times)
        ]
        found = self._answers_to(requests)
        return [self._answer(found[start : start + times]) for start in range(0, len(found), times)]

    def _shown(self, answer: str) -> str:
        return _json(answer)

    def _request(self, text: str, shown: Sequence[tuple[str, str]], sample: int) -> Request:
        many = self._facts["confidence"] == "samples"
        return Request(
            self._plan.messages(text, self.labels, shown),
            max_tokens=max(len(_json(label).encode()) for label in self.labels) + 16,
            temperature=_SAMPLE_TEMPERATURE if many else 0.0,
            schema=_schema(self.labels),
            top_logprobs=0 if many else _ALTERNATIVES,
            sample=sample,
        )

    def _answer(self, found: Sequence[Completion | LlmError]) -> Prediction:
        """Return the prediction of the answers to one row; the usual label, marked, where there is none."""
        said = [one for one in found if isinstance(one, Completion)]
        cost = sum(map(self._usd, found))
        if not said:
            row = np.full(len(self.labels), 1.0 / len(self.labels))
            row[self.labels.index(self._facts["usual"])] += _NO_ANSWER
            problem = next(str(one.problem) for one in found if isinstance(one, LlmError))
            (answer,) = answers_from((row / row.sum())[None], self.labels, _NAME)
            extra = {**answer.extra, "problem": problem}
            return Prediction(answer.value, answer.score, True, _NAME, cost, extra)
        values = [str(one.value["label"]) for one in said]
        label = Counter(values).most_common(1)[0][0]
        row = self._chances(said, values, label)
        return Prediction(label, float(row.max()), False, _NAME, cost, {"probabilities": row})

    def _chances(self, said: Sequence[Completion], values: Sequence[str], label: str) -> Probability:
        """Return the probability of each label; the answered one is never below another."""
        size, place = len(self.labels), self.labels.index(label)
        if self._facts["confidence"] == "samples":
            votes = np.array([values.count(each) for each in self.labels], dtype=np.float64)
            row = (votes + 1.0 / size) / (len(values) + 1.0)
        else:
            told = label_probabilities(said[0].tokens, label, self.labels)
            sure = max(self._facts["accuracy"] or 0.9, 1.0 / size)
            even = np.full(size, (1.0 - sure) / max(size - 1, 1))
            even[place] = sure
            row = even if told is None else told
        # Greedy decoding may spell a label that the sum over tokens ranks second.
        row[place] = max(row[place], row.max() + 1e-9)
        return np.asarray(row / row.sum())

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        facts, pool = cls._read(folder)
        if not {*pool.labels, facts["usual"]} <= set(schema.labels):
            raise BundleError("the stored examples do not fit the labels", folder.name, "Build it again.")
        return cls(schema.labels, facts, pool)

    @classmethod
    def asks_per_row(cls, params: LlmPromptParams) -> int:
        return params.samples if params.confidence == "samples" else 1

    @classmethod
    def calls_of_fit(cls, facts: DataFacts, params: LlmPromptParams, context: FitContext) -> int:
        from rung.training.text.prompt_search import SEARCH_ROWS, candidates

        asked = min(SEARCH_ROWS[context.effort] if params.search is None else params.search, facts.rows // 2)
        return asked * len(candidates(PromptPlan(examples=params.examples), context.effort))


def _spread(
    texts: Sequence[str], targets: Sequence[str], order: Sequence[int], labels: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return texts and labels of at most POOL_ROWS rows, as many of each label as there are, in turn."""
    by_label = {label: [place for place in order if targets[place] == label] for label in labels}
    turns = max(map(len, by_label.values()), default=0)
    dealt = [places[turn] for turn in range(turns) for places in by_label.values() if turn < len(places)]
    kept = [place for place in dealt if texts[place].strip()][:POOL_ROWS]
    return [texts[place][:POOL_CHARS] for place in kept], [targets[place] for place in kept]


def _schema(labels: Sequence[str]) -> dict[str, Any]:
    answer = {"type": "string", "enum": list(labels)}
    return {
        "type": "object",
        "properties": {"label": answer},
        "required": ["label"],
        "additionalProperties": False,
    }


def _json(label: str) -> str:
    return json.dumps({"label": label}, ensure_ascii=False)
