"""A language model behind an API, shown the training rows that are most like the prompt, and held to the product's conditions."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from rung.core.model import DataFacts, FitContext
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.text.copied_text import CopiedText
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
from rung.modalities.text.sentences import StreamedSentences
from rung.modalities.text.writer import TextFinisher, WholeText, stored_texts
from rung.modalities.text.writing_options import WritingOptions
from rung.modalities.text.writing_steps import SentenceSource
from rung.runtime.llm.client import Request
from rung.runtime.llm.errors import LlmError
from rung.runtime.llm.replies import Completion

_NAME = "llm_writer"
_MOST_TOKENS = 2_000
Shown = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class LlmWriterParams(PromptedParams):
    """Parameters.

    service: local, ollama, vllm, llamacpp, openai, anthropic, deepseek, qwen, moonshot, or an address ending in /v1.
    model: its full name with version. guidelines: how to write, in your words. notes: not used.
    examples: the most training rows to show in a prompt. temperature: where neither product nor request says one. prompt_tokens: of the
    whole prompt. usd_in, usd_out: price of a million tokens, where rung does not know it. concurrency: calls at a time.
    """

    examples: int = 4
    temperature: float = 0.3


class LlmWriter(PromptedModel):
    """Use it where texts need what no thousand examples hold, and to see what a language model is worth against the nearest one."""

    TASKS = frozenset({"text_generation"})
    Params = LlmWriterParams
    ANSWER_TOKENS = 80

    def __init__(self, finisher: TextFinisher, facts: Mapping[str, Any], pool: ExamplePool) -> None:
        """pool: prompts with their texts."""
        super().__init__(facts, pool)
        self._finisher = finisher

    @classmethod
    def fit(cls, examples: Examples, params: LlmWriterParams, context: FitContext) -> Self:
        """Return the model after a probe of the server; nothing is trained."""
        cls.require()
        copies = CopiedText.learn([str(target) for target in examples.targets])
        finisher = TextFinisher(examples.schema, copies, _NAME, params.temperature)
        prompts, texts = stored_texts(finisher.prompts(examples.inputs)), stored_texts(examples.targets)
        _, order = drawn_rows(len(examples), 0, context.seed)
        kept = [place for place in order if prompts[place].strip()][:POOL_ROWS]
        pool = ExamplePool([prompts[i][:POOL_CHARS] for i in kept], [texts[i] for i in kept])
        facts = first_facts(params, context, plan_of(params)) | {"temperature": params.temperature}
        return cls(finisher, facts, pool)

    @property
    def chosen(self) -> Mapping[str, Any]:
        return {**super().chosen, "temperature": self._finisher.temperature}

    def predict(self, inputs: Columns) -> list[Prediction]:
        rows = self._finisher.rows(inputs)
        near = self._examples_near([prompt for prompt, _ in rows])
        # The drafts that are asked for whatever they say come together; further ones one by one.
        counts = [options.candidates or 1 for _, options in rows]
        asked = [
            self._request(prompt, options, number, shown)
            for (prompt, options), shown, count in zip(rows, near, counts, strict=True)
            for number in range(count)
        ]
        found = iter(self._answers_to(asked))
        return [
            self._written(row, shown, [next(found) for _ in range(count)])
            for row, shown, count in zip(rows, near, counts, strict=True)
        ]

    def _written(
        self, row: tuple[str, WritingOptions], shown: Shown, drafts: list[Completion | LlmError]
    ) -> Prediction:
        """Return the answer to a row. drafts: what was asked already."""

        def sources(prompt: str, options: WritingOptions, number: int) -> SentenceSource:
            if number >= len(drafts):
                drafts.extend(self._answers_to([self._request(prompt, options, number, shown)]))
            draft = drafts[number]
            return WholeText(draft.text.strip() if isinstance(draft, Completion) else "")

        answer = self._finisher.write(*row, sources)
        problems = [str(draft.problem) for draft in drafts if isinstance(draft, LlmError)]
        told = {**answer.extra, "problem": problems[0]} if problems else dict(answer.extra)
        is_empty = len(problems) == len(drafts)
        return replace(answer, abstained=is_empty, cost=sum(map(self._usd, drafts)), extra=told)

    def stream(self, inputs: Mapping[str, Any]) -> Iterator[str]:
        """Yield the answer sentence by sentence, as the service writes it."""
        ((prompt, options),) = self._finisher.rows({name: [value] for name, value in inputs.items()})
        return self._streamed(prompt, options)

    def _streamed(self, prompt: str, options: WritingOptions) -> Generator[str, None, Prediction]:
        (shown,) = self._examples_near([prompt])
        calls: list[StreamedSentences] = []

        def sources(prompt: str, options: WritingOptions, number: int) -> SentenceSource:
            request = replace(self._request(prompt, options, number, shown), schema=None)
            calls.append(StreamedSentences(self._client.stream(request)))
            return calls[-1]

        try:
            answer = yield from self._finisher.stream(prompt, options, sources)
        finally:
            for call in calls:
                call.close()
        # One that was cut off costs what the client's ledger knows.
        done = [call.returned for call in calls if call.returned is not None]
        return replace(answer, cost=sum(map(self._usd, done)))

    def _request(self, prompt: str, options: WritingOptions, number: int, shown: Shown) -> Request:
        rules = self._finisher.rules
        most = min(rules.max_chars, options.max_chars)
        return Request(
            self._plan.writing_messages(prompt, rules.in_words(most), shown),
            max_tokens=min(most + 16, _MOST_TOKENS),
            temperature=float(options.temperature or 0.0),
            schema=dict(rules.json_schema) if rules.json_schema is not None else None,
            sample=(options.seed * 31 + number) % 2**31,
        )

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self._finisher.copies is not None:
            self._finisher.copies.save(folder)

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        facts, pool = cls._read(folder)
        finisher = TextFinisher(schema, CopiedText.load(folder), _NAME, float(facts["temperature"]))
        return cls(finisher, facts, pool)

    @classmethod
    def calls_of_fit(cls, facts: DataFacts, params: LlmWriterParams, context: FitContext) -> int:
        return 0
