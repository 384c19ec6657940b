"""A stranger: a reply that is put another way each time it is asked for. What it says stays the same."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Self

from rung import Cost, Field, MeanMetric, Model, Prediction, RungError, Schema, Task

_WAYS = ("It is {}.", "That would be {}.", "{}, I think.", "Surely {}.", "{}!")


class LooseReply(Task):
    """A reply in words of its own."""

    name = "loose_reply"
    title = "A reply that says the right word"
    floor = "same_reply"
    default_metric = "says_it"
    is_stochastic = True

    def schema(self, inputs, targets):
        return Schema(tuple(Field(i, "text", "input") for i in inputs), (Field("reply", "text", "output"),))

    def metric(self, name, schema):
        known = {metric.name: metric for metric in self.metrics(schema)}
        if name not in known:
            raise RungError(f"there is no metric '{name}'", "bar.metric", f"There is {', '.join(known)}.")
        return known[name]

    def metrics(self, schema):
        return [MeanMetric("says_it", lambda truth, answer: float(truth in answer.value), binary=True)]

    def parse_target(self, raw):
        return str(raw) if raw else None

    def response(self, prediction, schema, scores):
        return {"reply": prediction.value}

    def tiny(self):
        return [{"question": f"colour of {i}", "target": ("red", "blue")[i % 2]} for i in range(24)]


class SameReply(Model):
    """Use it to see what a score is worth: the most frequent word, always the same."""

    TASKS = frozenset({"loose_reply"})

    def __init__(self, word: str) -> None:
        self.word = word

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        return cls(Counter(examples.targets).most_common(1)[0][0])

    def predict(self, inputs):
        return [Prediction(self.word, answered_by="same_reply") for _ in next(iter(inputs.values()))]

    def save(self, folder: Path) -> None:
        (folder / "word.json").write_text(json.dumps(self.word))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(json.loads((folder / "word.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.0, 0.001, 40, 0.01)


class KnownWords(Model):
    """Use it where the last word of a question decides."""

    TASKS = frozenset({"loose_reply"})

    def __init__(self, words: dict[str, str], usual: str) -> None:
        self.words, self.usual = words, usual

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        (questions,) = examples.inputs.values()
        words = {
            question.split()[-1]: target for question, target in zip(questions, examples.targets, strict=True)
        }
        return cls(words, Counter(examples.targets).most_common(1)[0][0])

    def predict(self, inputs):
        (questions,) = inputs.values()
        said = [self.words.get((str(q).split() or [""])[-1], self.usual) for q in questions]
        return [Prediction(random.choice(_WAYS).format(word), answered_by="known_words") for word in said]

    def save(self, folder: Path) -> None:
        (folder / "words.json").write_text(json.dumps([self.words, self.usual]))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(*json.loads((folder / "words.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(facts.rows * 1e-7, 0.01, 40, 0.01)
