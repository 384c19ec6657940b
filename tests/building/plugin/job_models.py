"""Model families that ask for what a fit can have: checkpoints, validation rows, progress, cancellation; and one that fails."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import dataclass
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
