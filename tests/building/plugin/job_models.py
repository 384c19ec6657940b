"""Model families that ask for what a fit can have: checkpoints, validation rows, progress, cancellation; and one that fails."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from rung.core.errors import FitCancelled
from rung.core.model import Cost, FitContext, Model
from rung.core.types import Columns, Examples, Prediction, Schema


class WordVotes(Model):
    """Words that stood with one label alone vote for it: enough to clear an easy bar."""

    TASKS = frozenset({"text_classification"})
    NAME = "word_votes"

    def __init__(self, labels: tuple[str, ...], words: dict[str, str]) -> None:
        self.labels, self.words = labels, words

    @classmethod
    def fit(cls, examples: Examples, params: object, context: FitContext) -> Self:
        seen: dict[str, Counter[str]] = {}
        for text, label in zip(examples.inputs["text"], examples.targets, strict=True):
            for word in set(text.lower().split()):
                seen.setdefault(word, Counter())[label] += 1
        told = {word: next(iter(votes)) for word, votes in seen.items() if len(votes) == 1}
        return cls(examples.schema.labels, told)

    def predict(self, inputs: Columns) -> list[Prediction]:
        return [self.answer(text) for text in inputs["text"]]

    def answer(self, text: str) -> Prediction:
        votes = Counter(self.words[word] for word in text.lower().split() if word in self.words)
        best = max(self.labels, key=lambda label: votes[label])
        row = [(votes[label] + 0.1) / (votes.total() + 0.1 * len(self.labels)) for label in self.labels]
        return Prediction(best, max(row), answered_by=self.NAME, extra={"probabilities": row})

    def save(self, folder: Path) -> None:
        (folder / "words.json").write_text(json.dumps(self.words))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(schema.labels, json.loads((folder / "words.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.1, 0.5, 40, 0.1)


@dataclass(frozen=True)
class NetworkParams:
    """steps: of training. seconds: each takes. log: a file that gets a line a step. die_at: the step that ends the process."""

    steps: int = 4
    seconds: float = 0.0
    log: str = ""
    die_at: int = -1


class Network(WordVotes):
    """Use it as a network that trains for minutes: it reports, keeps checkpoints, stops when it is told to."""

    NAME = "network"
    Params = NetworkParams
    VALIDATION_SHARE = 0.2

    @classmethod
    def fit(cls, examples: Examples, params: NetworkParams, context: FitContext) -> Self:
        assert context.validation is not None and context.scratch is not None
        assert not set(context.validation.units) & set(examples.units)
        checkpoint = context.scratch / "step"
        begun = int(checkpoint.read_text()) if checkpoint.is_file() else 0
        for step in range(begun, params.steps):
            if context.cancelled():
                raise FitCancelled
            if step == params.die_at and not begun:
                os._exit(9)
            time.sleep(params.seconds)
            checkpoint.write_text(str(step + 1))
            context.report(step + 1, params.steps, {"loss": 1.0 / (step + 1)})
            if params.log:
                with Path(params.log).open("a") as log:
                    log.write(json.dumps([context.scratch.parent.name, step, len(examples)]) + "\n")
        return super().fit(examples, params, context)

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(600.0, 0.5, 40, 0.1)


class Failing(WordVotes):
    """Use it to see what becomes of a build whose fit fails."""

    NAME = "failing"

    @classmethod
    def fit(cls, examples: Examples, params: object, context: FitContext) -> Self:
        raise ValueError("no convergence")


@dataclass(frozen=True)
class ServiceParams:
    """log: a file that gets a line for each row that is asked. usd: what an answer costs; planned: as a plan has it, per 1,000.

    few_shot: rows of the training set that go with each request, so that each fold asks in another way.
    """

    log: str = ""
    usd: float = 0.001
    planned: float = 0.0
    few_shot: int = 0


class SilentCharge(Model):
    """Use it as a service that charges without having said so: only its answers tell."""

    TASKS = frozenset({"text_classification"})
    Params = ServiceParams
    PLACE = "asked"

    def __init__(self, labels: tuple[str, ...], params: ServiceParams, shots: tuple[str, ...]) -> None:
        self.labels, self.params, self.shots = labels, params, shots

    @classmethod
    def fit(cls, examples: Examples, params: ServiceParams, context: FitContext) -> Self:
        return cls(examples.schema.labels, params, tuple(examples.inputs["text"][: params.few_shot]))

    def predict(self, inputs: Columns) -> list[Prediction]:
        with Path(self.params.log).open("a") as log:
            log.writelines(json.dumps(text) + "\n" for text in inputs["text"])
        return [
            Prediction("sea" if "ships" in text else "land", 0.9, answered_by="service", cost=self.params.usd,
                       extra={"probabilities": [0.1, 0.9] if "ships" in text else [0.9, 0.1]})
            for text in inputs["text"]
        ]  # fmt: skip

    def save(self, folder: Path) -> None:
        (folder / "service.json").write_text(json.dumps([asdict(self.params), self.shots]))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        params, shots = json.loads((folder / "service.json").read_text())
        return cls(schema.labels, ServiceParams(**params), tuple(shots))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.1, 0.01, 40, 0.1, service_usd_per_1k=params.planned)


class AskedService(SilentCharge):
    """Use it as a service with an address."""

    @property
    def address(self) -> str:
        return "http://127.0.0.1:9/"


class Varying(WordVotes):
    """Use it as a model that answers differently each time, one in twenty wrongly."""

    NAME = "varying"
    is_stochastic = True

    def predict(self, inputs: Columns) -> list[Prediction]:
        answers = super().predict(inputs)
        # One answer in twenty is drawn, whatever the row says.
        other = {
            label: self.labels[(place + 1) % len(self.labels)] for place, label in enumerate(self.labels)
        }
        return [
            Prediction(other[a.value], a.score, answered_by=self.NAME, extra=a.extra)
            if random.random() < 0.05
            else a
            for a in answers
        ]
