"""A causal language model tuned on the rows by low-rank changes, shipped as the GGUF file that was scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext, Model, answers_from
from rung.core.types import Columns, Examples, Prediction, Schema
from rung.modalities.text.copied_text import CopiedText
from rung.modalities.text.ngrams import join_fields
from rung.modalities.text.sentences import StreamedSentences
from rung.modalities.text.tuned_language import TunedLanguage, TuningParams
from rung.modalities.text.writer import TextFinisher, Writer, stored_texts
from rung.modalities.text.writing_options import WritingOptions
from rung.runtime.llm.label_confidence import mended

_NAME = "llm_lora"
# The system message of a chat. Short: each token of it is read with every row.
_LABEL, _WRITE = "Label the text.", "Write what belongs to the text."
# Held-out rows on which probabilities are calibrated, by effort, and the temperature texts are drawn at where nobody says one.
_CALIBRATED, _TEMPERATURE = (0, 16, 48, 96, 192, 384), 0.5
# Seconds of one thread: a token forwards by llama.cpp, written, and in training; of SmolLM2-135M in 8 bits.
_READ_S, _WRITE_S, _TRAIN_S, _START_S = 0.0062, 0.02, 0.007, 45.0
_SIZE_MB = {"8": 145.0, "16": 271.0}
# Characters of a token, about.
_TOKEN_CHARS = 4.0


class LlmLora(Model):
    """Use it where texts need what no thousand examples hold and may not leave your machines: a small language model that learns your labels or your way to write."""

    NEEDS = "train,local-llm"
    PACKAGES = ("torch", "transformers", "peft", "gguf", "xllamacpp")
    TASKS = frozenset({"text_classification", "text_generation"})
    Params = TuningParams
    PLACE = "asked"
    VALIDATION_SHARE = 0.1

    def __init__(self, language: TunedLanguage, chosen: Mapping[str, Any]) -> None:
        self._language, self._chosen = language, dict(chosen)
        self._training: Mapping[str, Sequence[float]] = {}

    @classmethod
    def fit(cls, examples: Examples, params: TuningParams, context: FitContext) -> Self:
        cls.require()
        kind: Any = _Labels if examples.schema.labels else _Texts
        return kind.tuned(examples, params, context)  # type: ignore[no-any-return]

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        kind: Any = _Labels if schema.labels else _Texts
        return kind.opened(folder, schema)  # type: ignore[no-any-return]

    @property
    def chosen(self) -> Mapping[str, Any]:
        return self._chosen

    @property
    def training(self) -> Mapping[str, Sequence[float]]:
        return self._training

    @classmethod
    def unavailable(cls, facts: DataFacts, params: TuningParams, context: FitContext) -> RungError | None:
        from rung.runtime.weights.store import missing_weights

        is_hub = params.weights.startswith("hub:")
        return cls.missing_packages() or (None if is_hub else missing_weights(params.weights))

    @classmethod
    def cost(cls, facts: DataFacts, params: TuningParams, context: FitContext) -> Cost:
        read = min(facts.chars_per_row / _TOKEN_CHARS, float(params.text_tokens)) + 30.0
        written = 6.0 if facts.labels > 1 else min(facts.chars_per_row, 400.0) / _TOKEN_CHARS
        rows = min(facts.rows, params.most_rows)
        fit = _START_S + rows * params.epochs * (read + written) * _TRAIN_S
        each = read * _READ_S + written * _WRITE_S
        return Cost(fit, 1000 * each, 700.0, _SIZE_MB[params.bits], one_part=True)


class _Labels(LlmLora):
    """Chooses one of the labels."""

    def __init__(
        self, labels: tuple[str, ...], language: TunedLanguage, chosen: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> None:  # fmt: skip
        """facts: temperature and mixed, see `mended`; usual: the label of a row without an answer."""
        super().__init__(language, chosen)
        self.labels, self._facts = labels, dict(facts)

    @classmethod
    def tuned(cls, examples: Examples, params: TuningParams, context: FitContext) -> LlmLora:
        from rung.training.text.prompt_search import calibrate
        from rung.training.torch.lora_fit import tune

        some = _sample(examples, params.most_rows, context.seed)
        held = context.validation if context.validation is not None else examples.take([])
        texts, truths = join_fields(held.inputs), [str(target) for target in held.targets]
        pairs = join_fields(some.inputs), [str(target) for target in some.targets]
        language, chosen, training = tune(
            pairs, (texts, truths), params.instruction or _LABEL, params, context
        )
        labels = examples.schema.labels
        usual = Counter(map(str, examples.targets)).most_common(1)[0][0]
        model = cls(labels, language, chosen, {"temperature": 1.0, "mixed": 0.02, "usual": usual})
        count = min(_CALIBRATED[context.effort], len(texts))
        if count:
            rows = np.array([model._row(text) for text in texts[:count]])
            codes = np.array([labels.index(truth) for truth in truths[:count]], np.int64)
            temperature, mixed = calibrate(rows, codes)
            model._facts |= {"temperature": temperature, "mixed": mixed}
            model._chosen |= {
                "calibrated_on": count,
                "calibrated_accuracy": round(float((rows.argmax(1) == codes).mean()), 4),
            }
        model._training = training
        return model

    def probabilities(self, inputs: Columns) -> npt.NDArray[np.float64]:
        """Return [rows, labels]."""
        rows = np.array([self._row(text) for text in join_fields(inputs)]).reshape(-1, len(self.labels))
        return mended(rows, self._facts["temperature"], self._facts["mixed"]) if len(rows) else rows

    def predict(self, inputs: Columns) -> list[Prediction]:
        return answers_from(self.probabilities(inputs), self.labels, _NAME)

    def _row(self, text: str) -> npt.NDArray[np.float64]:
        found = self._language.chances(text, self.labels)
        if found is None:
            found = np.full(len(self.labels), 1.0 / len(self.labels))
            found[self.labels.index(self._facts["usual"])] += 1e-3
        return np.asarray(found / found.sum())

    def save(self, folder: Path) -> None:
        self._language.save(folder, {"chosen": self._chosen, "answers": self._facts})

    @classmethod
    def opened(cls, folder: Path, schema: Schema) -> LlmLora:
        language, facts = TunedLanguage.load(folder)
        return cls(schema.labels, language, facts["chosen"], facts["answers"])


class _Texts(LlmLora, Writer):
    """Writes a text, finished by the product's rules."""

    def __init__(self, language: TunedLanguage, finisher: TextFinisher, chosen: Mapping[str, Any]) -> None:
        LlmLora.__init__(self, language, chosen)
        self._finisher = finisher

    @classmethod
    def tuned(cls, examples: Examples, params: TuningParams, context: FitContext) -> LlmLora:
        from rung.training.torch.lora_fit import tune

        some = _sample(examples, params.most_rows, context.seed)
        held = context.validation if context.validation is not None else examples.take([])
        copies = CopiedText.learn(stored_texts(examples.targets))
        finisher = TextFinisher(examples.schema, copies, _NAME, _TEMPERATURE)
        pairs, own = (
            (stored_texts(finisher.prompts(e.inputs)), stored_texts(e.targets)) for e in (some, held)
        )
        language, chosen, training = tune(pairs, own, params.instruction or _WRITE, params, context)
        model = cls(language, finisher, chosen)
        model._training = training
        return model

    @property
    def chosen(self) -> Mapping[str, Any]:
        return {**self._chosen, "temperature": self._finisher.temperature}

    def sentences(self, prompt: str, options: WritingOptions, number: int) -> StreamedSentences:
        rules = self._finisher.rules
        most = min(rules.max_chars, options.max_chars)
        return self._language.sentences(prompt, options, number, most, rules.json_schema)

    def predict(self, inputs: Columns) -> list[Prediction]:
        found = []
        for prompt, options in self._finisher.rows(inputs):
            stream = self._written(prompt, options)
            while True:
                try:
                    next(stream)
                except StopIteration as done:
                    found.append(done.value)
                    break
        return found

    def stream(self, inputs: Mapping[str, Any]) -> Iterator[str]:
        ((prompt, options),) = self._finisher.rows({name: [value] for name, value in inputs.items()})
        return self._written(prompt, options)

    def _written(self, prompt: str, options: WritingOptions) -> Generator[str, None, Prediction]:
        """Yield the answer sentence by sentence and return it; the model stops where nobody reads on."""
        running: list[StreamedSentences] = []

        def sources(prompt: str, options: WritingOptions, number: int) -> StreamedSentences:
            # One draft at a time: the model answers one request at a time.
            for draft in running:
                draft.close()
            running[:] = [self.sentences(prompt, options, number)]
            return running[0]

        try:
            return (yield from self._finisher.stream(prompt, options, sources))
        finally:
            for draft in running:
                draft.close()

    def save(self, folder: Path) -> None:
        facts = {"chosen": self._chosen, "temperature": self._finisher.temperature}
        self._language.save(folder, facts)
        if self._finisher.copies is not None:
            self._finisher.copies.save(folder)

    @classmethod
    def opened(cls, folder: Path, schema: Schema) -> LlmLora:
        language, facts = TunedLanguage.load(folder)
        finisher = TextFinisher(schema, CopiedText.load(folder), _NAME, float(facts["temperature"]))
        return cls(language, finisher, facts["chosen"])


def _sample(examples: Examples, most: int, seed: int) -> Examples:
    order = np.random.default_rng(seed).permutation(len(examples))[:most]
    return examples.take(np.sort(order).tolist())
