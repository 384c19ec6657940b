"""A stranger: a prompt goes in, text streams out of a service over HTTP."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rung.core.metrics.base import MeanMetric
from rung.core.model import Cost, Model
from rung.core.task import Task
from rung.core.types import Field, Prediction, Schema


def _overlap(truth, answer) -> float:
    a, b = set(str(truth).split()), set(str(answer.value).split())
    return len(a & b) / max(len(a | b), 1)


class PromptAnswering(Task):
    name = "prompt_answering"
    title = "Text for a prompt"
    floor = "fixed_answer"
    default_metric = "overlap"

    def schema(self, inputs, targets):
        return Schema(tuple(Field(i, "text", "input") for i in inputs), (Field("answer", "text", "output"),))

    def metric(self, name, schema):
        return {m.name: m for m in self.metrics(schema)}[name]

    def metrics(self, schema):
        return [MeanMetric("overlap", _overlap)]

    def parse_target(self, raw):
        return str(raw) if raw else None

    def dedup_key(self, inputs):
        return " ".join(map(str, inputs.values())).lower()

    def response(self, prediction, schema, scores):
        return {"answer": prediction.value}

    def tiny(self):
        return []


class FixedAnswer(Model):
    """The floor: the most frequent answer."""

    TASKS = frozenset({"prompt_answering"})

    def __init__(self, answer: str) -> None:
        self.answer = answer

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        return cls(Counter(examples.targets).most_common(1)[0][0])

    def predict(self, inputs):
        return [Prediction(self.answer, answered_by="fixed_answer") for _ in next(iter(inputs.values()))]

    def save(self, folder: Path) -> None:
        (folder / "answer.json").write_text(json.dumps(self.answer))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(json.loads((folder / "answer.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.0, 0.0, 40, 0.01)


@dataclass(frozen=True)
class ServiceParams:
    address: str = ""


class Service(Model):
    """Asks a service; what streams is what `predict` joins."""

    TASKS = frozenset({"prompt_answering"})
    Params = ServiceParams

    def __init__(self, address: str, field: str) -> None:
        self.address, self._field = address, field

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        return cls(params.address, examples.schema.input_names[0])

    def stream(self, inputs) -> Iterator[str]:
        body = json.dumps({"prompt": inputs[self._field]}).encode()
        with urllib.request.urlopen(urllib.request.Request(self.address, body), timeout=10) as reply:  # noqa: S310
            for line in reply:
                yield json.loads(line)["piece"]

    def predict(self, inputs):
        prompts = inputs[self._field]
        return [
            Prediction("".join(self.stream({self._field: p})), answered_by="service", cost=0.001)
            for p in prompts
        ]

    def save(self, folder: Path) -> None:
        (folder / "service.json").write_text(json.dumps([self.address, self._field]))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(*json.loads((folder / "service.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.0, 10.0, 40, 0.01)
