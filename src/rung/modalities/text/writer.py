"""Base class of models that write: drafts in sentences, finished by the named steps, the best of several where asked."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

from rung.core.model import Model
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.text.copied_text import CopiedText
from rung.modalities.text.decoding import DecodedSentences, LanguageModel
from rung.modalities.text.likeness import chrf
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.sentences import split_sentences
from rung.modalities.text.tokenize import replace_lone_surrogates
from rung.modalities.text.writing_options import WritingOptions
from rung.modalities.text.writing_rules import WritingRules, rules_of
from rung.modalities.text.writing_steps import Finisher, SentenceSource, Trace

OPTIONS_KIND = "writing_options"
FACTS_FILE = "writer.json"
# Texts that are drawn until one keeps conditions that only a whole text can tell.
_TRIES = 4
Sources = Callable[[str, WritingOptions, int], SentenceSource]


class TextFinisher:
    """Turns drafts into answers by the rules of a product; what every family that writes has in common."""

    def __init__(
        self, schema: Schema, copies: CopiedText | None, name: str, temperature: float = 0.0
    ) -> None:
        """copies: of training texts, None where answers are training texts by design. temperature: where nobody asks for one."""
        self.rules: WritingRules = rules_of(schema)
        self.copies, self._name = copies, name
        asked = self.rules.temperature
        self.temperature = temperature if asked is None else asked
        self._options_name = next((f.name for f in schema.inputs if f.kind == OPTIONS_KIND), "")

    def prompts(self, inputs: Columns) -> list[str]:
        """Return the prompt of each row."""
        return join_fields({name: column for name, column in inputs.items() if name != self._options_name})

    def rows(self, inputs: Columns) -> list[tuple[str, WritingOptions]]:
        """Return the prompt of each row, and what it asks for."""
        asked: Sequence[Any] = inputs.get(self._options_name) or [None] * len(self.prompts(inputs))
        return [
            (prompt, self._filled(WritingOptions.of(own)))
            for prompt, own in zip(self.prompts(inputs), asked, strict=True)
        ]

    def _filled(self, options: WritingOptions) -> WritingOptions:
        temperature = self.temperature if options.temperature is None else options.temperature
        return replace(
            options, temperature=temperature, candidates=options.candidates or self.rules.candidates
        )

    def write(self, prompt: str, options: WritingOptions, sources: Sources) -> Prediction:
        """Return the answer to a prompt. sources: gives the sentences of the n-th draft."""
        stream = self.stream(prompt, options, sources)
        while True:
            try:
                next(stream)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]

    def stream(
        self, prompt: str, options: WritingOptions, sources: Sources
    ) -> Generator[str, None, Prediction]:
        """Yield the answer sentence by sentence; as one piece where only whole texts can be told apart. Returns it whole."""
        asked = options.candidates or 1
        if asked == 1 and not self.rules.of_whole_texts:
            finisher = Finisher(self.rules, options)
            pieces: list[str] = []
            for piece in finisher.pieces(sources(prompt, options, 0)):
                pieces.append(piece)
                yield piece
            return self._answer("".join(pieces), finisher.trace)
        answer = self._best(prompt, options, sources, asked)
        if answer.value:
            yield str(answer.value)
        return answer

    def _best(self, prompt: str, options: WritingOptions, sources: Sources, asked: int) -> Prediction:
        """Return the best of so many drafts; where one is asked for, the first of a few that keeps all conditions.

        The best keeps most conditions and is most like the others (least expected loss, Kumar & Byrne 2004).
        """
        found: list[Prediction] = []
        tries = asked if asked > 1 else _TRIES if options.temperature else 1
        for number in range(tries):
            finisher = Finisher(self.rules, options)
            text = "".join(finisher.pieces(sources(prompt, options, number)))
            found.append(self._answer(text, finisher.trace))
            if asked == 1 and not found[-1].extra["broken"]:
                break
        texts = [str(answer.value) for answer in found]
        likeness = [sum(chrf(other, text) for other in texts) for text in texts]
        broken = [len(answer.extra["broken"]) for answer in found]
        place = min(range(len(found)), key=lambda i: (broken[i], -likeness[i] if asked > 1 else 0.0, i))
        best, first = found[place], found[0]
        stages = {**first.extra["stages"], "best_of": best.value}
        return replace(best, extra={**best.extra, "stages": stages, "drafts": len(found)})

    def _answer(self, text: str, trace: Trace) -> Prediction:
        copied = self.copies.longest(text) if self.copies is not None else len(text)
        extra = {
            "finish": trace.finish, "copied_chars": copied, "broken": list(self.rules.broken(text, copied)),
            "personal_data": dict(trace.personal), "stages": trace.texts(), "drafts": 1,
            "is_generated": self.copies is not None,
        }  # fmt: skip
        return Prediction(text, answered_by=self._name, extra=extra)


class Writer(Model):
    """A model that writes from its own weights."""

    TASKS = frozenset({"text_generation"})

    def __init__(self, finisher: TextFinisher, chosen: Mapping[str, Any]) -> None:
        self._finisher, self._chosen = finisher, dict(chosen)

    @abstractmethod
    def sentences(self, prompt: str, options: WritingOptions, number: int) -> SentenceSource:
        """Return the sentences of the n-th draft for a prompt."""

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._chosen

    def predict(self, inputs: Columns) -> list[Prediction]:
        return [
            self._finisher.write(prompt, options, self.sentences)
            for prompt, options in self._finisher.rows(inputs)
        ]

    def stream(self, inputs: Mapping[str, Any]) -> Iterator[str]:
        ((prompt, options),) = self._finisher.rows({name: [value] for name, value in inputs.items()})
        return self._finisher.stream(prompt, options, self.sentences)


class LanguageWriter(Writer):
    """A model that writes with a language model of its own. NAME: of the family."""

    NAME: ClassVar[str]

    def __init__(self, language: LanguageModel, finisher: TextFinisher, chosen: Mapping[str, Any]) -> None:
        super().__init__(finisher, chosen)
        self._language = language

    @classmethod
    def of(cls, examples: Examples, found: tuple[LanguageModel, float, Mapping[str, Any]]) -> Self:
        """Return the writer with what a fit on these rows found: the language model, its temperature, and what was chosen."""
        language, temperature, chosen = found
        copies = CopiedText.learn(stored_texts(examples.targets))
        return cls(language, TextFinisher(examples.schema, copies, cls.NAME, temperature), chosen)

    @property
    def language(self) -> LanguageModel:
        return self._language

    @property
    def chosen(self) -> Mapping[str, Any]:
        found = self._finisher
        copies = {"copies_found_from_chars": found.copies.least} if found.copies is not None else {}
        return {**self._chosen, "temperature": found.temperature, **copies}

    def sentences(self, prompt: str, options: WritingOptions, number: int) -> DecodedSentences:
        return DecodedSentences(self._language, prompt, options, number)

    def save(self, folder: Path) -> None:
        self._language.save(folder)
        if self._finisher.copies is not None:
            self._finisher.copies.save(folder)
        facts = {"temperature": self._finisher.temperature, "chosen": self._chosen}
        (folder / FACTS_FILE).write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    @abstractmethod
    def load_language(cls, folder: Path) -> LanguageModel:
        """Return the language model that `LanguageModel.save` wrote."""

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        copies = CopiedText.load(folder)
        finisher = TextFinisher(schema, copies, cls.NAME, float(facts["temperature"]))
        return cls(cls.load_language(folder), finisher, facts["chosen"])


class WholeText:
    """A text that stands there already, as the sentences of a draft."""

    def __init__(self, text: str) -> None:
        self._sentences = split_sentences(text)
        self._place = 0

    def next(self, again: int) -> tuple[str, bool] | None:
        if again or self._place >= len(self._sentences):
            return None
        return self._sentences[self._place], self._place + 1 == len(self._sentences)

    def accept(self) -> None:
        self._place += 1


def stored_texts(texts: Sequence[Any]) -> list[str]:
    """Return texts as a bundle stores them: valid Unicode."""
    return [replace_lone_surrogates("" if text is None else str(text)) for text in texts]
