"""A stranger: a prompt goes to a service that charges for each answer; text streams back."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rung import Cost, Field, MeanMetric, Model, Prediction, RungError, Schema, Task

PRICE = 0.001


def _overlap(truth: str, answer: Prediction) -> float:
    wanted, got = truth.split(), str(answer.value).split()
    return sum(a == b for a, b in zip(wanted, got, strict=False)) / max(len(wanted), len(got), 1)


class PromptAnswering(Task):
    """A text for a prompt."""

    name = "prompt_answering"
    title = "A text that answers a prompt"
    floor = "fixed_answer"
    default_metric = "overlap"

    def schema(self, inputs, targets):
        return Schema(tuple(Field(i, "text", "input") for i in inputs), (Field("answer", "text", "output"),))

    def metric(self, name, schema):
        known = {metric.name: metric for metric in self.metrics(schema)}
        if name not in known:
            raise RungError(f"there is no metric '{name}'", "bar.metric", f"There is {', '.join(known)}.")
        return known[name]

    def metrics(self, schema):
        return [MeanMetric("overlap", _overlap)]

    def parse_target(self, raw):
        return str(raw) if raw else None

    def response(self, prediction, schema, scores):
        return {"answer": prediction.value}

    def tiny(self):
        words = "abcdefghijklmnopqrstuvwx"
        return [{"prompt": f"{w} {w}{w}", "target": f"{w}{w} {w}"} for w in words]


class FixedAnswer(Model):
    """Use it to see what a score is worth: always the most frequent answer."""

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
        return Cost(0.0, 0.001, 40, 0.01)


@dataclass(frozen=True)
class ServiceParams:
    """address: of the service."""

    address: str = ""


class Service(Model):
    """Use it where a service answers better than anything here: it charges for each answer."""

    TASKS = frozenset({"prompt_answering"})
    Params = ServiceParams
    PLACE = "asked"

    def __init__(self, address: str, field: str) -> None:
        self.address, self._field = address, field

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        return cls(params.address, examples.schema.input_names[0])

    @classmethod
    def unavailable(cls, facts, params, context) -> RungError | None:
        return None if params.address else RungError("the service has no address", fix="Give `address`.")

    def stream(self, inputs: dict[str, Any]) -> Iterator[str]:
        body = json.dumps({"prompt": inputs[self._field]}).encode()
        whole = []
        with urllib.request.urlopen(urllib.request.Request(self.address, body), timeout=10) as reply:  # noqa: S310
            for line in reply:
                whole.append(json.loads(line)["piece"])
                yield whole[-1]
        return Prediction("".join(whole), answered_by="service", cost=PRICE)

    def predict(self, inputs):
        answers = ("".join(self.stream({self._field: prompt})) for prompt in inputs[self._field])
        return [Prediction(answer, answered_by="service", cost=PRICE) for answer in answers]

    def save(self, folder: Path) -> None:
        (folder / "service.json").write_text(json.dumps([self.address, self._field]))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(*json.loads((folder / "service.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.0, 1.0, 40, 0.01)
