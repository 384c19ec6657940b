"""A stranger: a user's history goes in, a ranked list comes out; the unit is the user."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Self

from rung.core.metrics.base import MeanMetric
from rung.core.model import Cost, Model
from rung.core.task import Task
from rung.core.types import Field, Prediction, Schema


def _ndcg(truth, answer) -> float:
    return 1.0 / math.log2(answer.value.index(truth) + 2) if truth in answer.value else 0.0


class NextItem(Task):
    name = "next_item"
    title = "The items a user wants next"
    floor = "popular_items"
    default_metric = "ndcg"

    def schema(self, inputs, targets):
        return Schema(tuple(Field(i, "list", "input") for i in inputs), (Field("items", "text", "output"),))

    def metric(self, name, schema):
        return {m.name: m for m in self.metrics(schema)}[name]

    def metrics(self, schema):
        return [MeanMetric("ndcg", _ndcg)]

    def parse_target(self, raw):
        return str(raw) if raw else None

    def dedup_key(self, inputs):
        return json.dumps(inputs, sort_keys=True)

    def response(self, prediction, schema, scores):
        return {"items": prediction.value}

    def tiny(self):
        return []


class PopularItems(Model):
    """The floor: the same list for everyone."""

    TASKS = frozenset({"next_item"})

    def __init__(self, ranked: list[str]) -> None:
        self.ranked = ranked

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        return cls([item for item, _ in Counter(examples.targets).most_common(5)])

    def predict(self, inputs):
        return [Prediction(self.ranked, answered_by="popular_items") for _ in next(iter(inputs.values()))]

    def save(self, folder: Path) -> None:
        (folder / "items.json").write_text(json.dumps(self.ranked))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(json.loads((folder / "items.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.0, 0.001, 40, 0.01)


class CoOccurrence(PopularItems):
    """Items that followed the last item of a history; the history comes with the request."""

    def __init__(self, after: dict[str, list[str]]) -> None:
        self.after = after

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        followed: dict[str, Counter] = {}
        for history, target in zip(examples.inputs["history"], examples.targets, strict=True):
            followed.setdefault(history[-1], Counter())[target] += 1
        return cls({item: [t for t, _ in seen.most_common(5)] for item, seen in followed.items()})

    def predict(self, inputs):
        return [Prediction(self.after.get(h[-1], []), answered_by="co_occurrence") for h in inputs["history"]]

    def save(self, folder: Path) -> None:
        (folder / "items.json").write_text(json.dumps(self.after))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.1, 0.1, 40, 0.01)
