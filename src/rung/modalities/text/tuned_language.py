"""A language model tuned on the rows, as it ships: one GGUF file with its facts, run by llama.cpp in this process."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.training_params import TrainingParams, require_limits
from rung.modalities.text.prompting import shortened
from rung.modalities.text.sentences import StreamedSentences
from rung.modalities.text.tokenize import replace_lone_surrogates
from rung.modalities.text.writing_options import WritingOptions
from rung.runtime.llm.errors import LlmError
from rung.runtime.llm.gguf_runner import GgufRunner
from rung.runtime.llm.label_confidence import label_probabilities
from rung.runtime.llm.replies import Completion

MODEL_FILE, FACTS_FILE = "model.gguf", "tuned.json"
# Tokens of the template around a text.
_TEMPLATE = 128
_ALTERNATIVES = 20
# Tokens that a text may really take, against the estimate it is shortened by: letters of rare scripts take several.
_ROOM = 2
# How often a text that still does not fit is cut to a third.
_SHORTER = 4
_NO_ANSWER = 0.9


@dataclass(frozen=True)
class TuningParams(TrainingParams):
    """Parameters.

    weights: of the language model: a name of `rung weights`, file: with a folder of Hugging Face's format or a gguf file, or
    hub:owner/model. instruction: the system message of every chat; "": a short one of the task. text_tokens: of a text, estimated; longer ones
    lose their middle. most_rows: to train on, drawn where there are more. rank, alpha: of the low-rank changes (LoRA). adapted_layers: how
    many of the last layers are changed; None: all. adapter_dropout: of their inputs. bits: of the weights that ship. The rest as in TrainingParams;
    batch_rows rows are packed into one sequence without padding, and see nothing of each other.
    """

    weights: str = "smollm2"
    instruction: str = ""
    text_tokens: int = 256
    most_rows: int = 2_000
    rank: int = 8
    alpha: float = 16.0
    adapted_layers: int | None = None
    adapter_dropout: float = 0.0
    bits: Literal["8", "16"] = "8"
    epochs: int = 2
    batch_rows: int = 8
    batch_tokens: int = 1_024
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear", "cosine", "one_cycle"] = "linear"
    patience: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {
            "text_tokens": (8, 32_000), "most_rows": (8, 10_000_000), "rank": (1, 1_024), "alpha": (0.01, 10_000.0),
            "adapter_dropout": (0.0, 0.9),
        }  # fmt: skip
        require_limits(self, limits)
        if self.adapted_layers is not None:
            require_limits(self, {"adapted_layers": (1, 1_000)})


@dataclass(frozen=True)
class ChatForm:
    """How a text becomes a chat, in training and in production alike.

    instruction: system message. text_tokens: see TuningParams. marks: what the tokenizer reads as more than text; broken inside texts, so that none
    can end its message. answer_tokens: of an answer, at most.
    """

    instruction: str
    text_tokens: int
    marks: tuple[str, ...]
    answer_tokens: int

    def messages(self, text: str) -> list[dict[str, str]]:
        """Return the chat that asks for the answer to a text."""
        return [
            {"role": "system", "content": self.instruction},
            {"role": "user", "content": self.plain(shortened(text, self.text_tokens))},
        ]

    def plain(self, text: str) -> str:
        """Return a text in which nothing is a mark."""
        text = replace_lone_surrogates(text).replace("\0", " ")
        for mark in self.marks:
            if mark in text:
                text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        # A template may take blanks away at the ends.
        return text.strip()

    @property
    def context(self) -> int:
        """Return the tokens of a request and its answer."""
        used = (
            _ROOM * self.text_tokens
            + len(self.instruction.encode()) // 2
            + _TEMPLATE
            + 2 * self.answer_tokens
        )
        return -(-used // 256) * 256


class TunedLanguage:
    """The file that a fit exported, and the chat that it was tuned on."""

    def __init__(self, file: Path, form: ChatForm, folder: Path | None = None) -> None:
        """folder: is removed with this object; None where the file stays. Raises what `GgufRunner` raises."""
        self._file, self.form = file, form
        if folder is not None:
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._runner = GgufRunner(file, form.context)

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write the file and its facts."""
        shutil.copyfile(self._file, folder / MODEL_FILE)
        form = {**vars(self.form), "marks": list(self.form.marks)}
        text = json.dumps({"form": form, **facts}, ensure_ascii=False, indent=1)
        (folder / FACTS_FILE).write_text(text + "\n", encoding="utf-8", errors="replace")

    @staticmethod
    def load(folder: Path) -> tuple[TunedLanguage, dict[str, Any]]:
        """Return what `save` wrote: the model and its facts."""
        facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        form = facts.pop("form")
        return TunedLanguage(folder / MODEL_FILE, ChatForm(**{**form, "marks": tuple(form["marks"])})), facts

    def next_tokens(self, text: str) -> tuple[dict[int, float], int]:
        """Return the likeliest tokens to begin the answer to a text with, number -> log-probability, and the tokens of the chat."""
        return self._runner.next_tokens(self.form.messages(text), _ALTERNATIVES)

    def chances(self, text: str, labels: Sequence[str]) -> npt.NDArray[np.float64] | None:
        """Return the probability of each label, [labels]; None where there is no answer to a text."""
        grammar = "root ::= " + " | ".join(json.dumps(label, ensure_ascii=False) for label in labels)
        try:
            said = self._answer(
                text, self.form.answer_tokens, grammar=grammar, logprobs=True, top_logprobs=_ALTERNATIVES
            )
        except LlmError:
            return None
        # Cut off, an answer may still tell its label.
        begun = [label for label in labels if label.startswith(said.text)] if said.text else []
        label = said.text if said.text in labels else begun[0] if len(begun) == 1 else None
        if label is None:
            return None
        place = list(labels).index(label)
        found = label_probabilities(said.tokens, label, labels)
        if found is None:
            found = np.full(len(labels), (1.0 - _NO_ANSWER) / max(len(labels) - 1, 1))
            found[place] = _NO_ANSWER
        # Decoding token by token may spell a label that the sum over tokens ranks second.
        found[place] = max(found[place], found.max() + 1e-9)
        return np.asarray(found / found.sum())

    def sentences(
        self,
        prompt: str,
        options: WritingOptions,
        number: int,
        most_chars: int,
        schema: Mapping[str, Any] | None,
    ) -> StreamedSentences:
        """Return the sentences of the n-th draft for a prompt. schema: JSON schema of the text."""
        asked: dict[str, Any] = {
            "temperature": float(options.temperature or 0.0), "top_k": options.top_k, "top_p": options.top_p, "min_p": 0.0,
            "seed": (options.seed * 31 + number) % 2**31,
        }  # fmt: skip
        if schema is not None:
            asked["json_schema"] = dict(schema)
        most = min(self.form.answer_tokens, most_chars + 16)
        return StreamedSentences(self._stream(prompt, most, asked))

    def _stream(self, prompt: str, most: int, asked: Mapping[str, Any]) -> Generator[str, None, str]:
        for _ in range(_SHORTER):
            try:
                return (yield from self._runner.stream(self.form.messages(prompt), most, **asked))
            except LlmError as error:
                if not _is_too_long(error):
                    raise
                prompt = prompt[: len(prompt) // 3]
        return (yield from self._runner.stream(self.form.messages(""), most, **asked))

    def _answer(self, text: str, most: int, **asked: Any) -> Completion:
        """Return the answer to a text; one of many rare letters is shortened until it fits."""
        for _ in range(_SHORTER):
            try:
                return self._runner.answer(self.form.messages(text), most, **asked)
            except LlmError as error:
                if not _is_too_long(error):
                    raise
                text = text[: len(text) // 3]
        return self._runner.answer(self.form.messages(""), most, **asked)


def _is_too_long(error: LlmError) -> bool:
    return error.status == 400 and "too long" in error.problem
