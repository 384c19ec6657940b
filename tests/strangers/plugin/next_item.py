"""A stranger: events become histories of users; a history goes in, a ranked list comes out. The unit is the user."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Self

from rung import Cost, Field, MeanMetric, Model, Prediction, Row, RungError, Schema, Task


def _ndcg(truth, answer) -> float:
    return 1.0 / math.log2(answer.value.index(truth) + 2) if truth in answer.value else 0.0


class NextItem(Task):
    """What a user wants next."""

    name = "next_item"
    title = "The items a user wants next"
    floor = "popular_items"
    default_metric = "ndcg"
    unit = "user"
    repeats_are_copies = False

    def schema(self, inputs, targets):
        return Schema(tuple(Field(i, "list", "input") for i in inputs), (Field("items", "list", "output"),))

    def source_columns(self, columns):
        return ("user", "item")

    def reshape(self, rows, columns):
        """Each event but a user's first is a row: the events before it, and itself as what comes next."""
        before: dict[str, list[str]] = {}
        for row in rows:
            if row.values is None or "history" in row.values:
                yield row
                continue
            seen = before.setdefault(row.values["user"], [])
            item = row.values["item"]
            if seen:
                shaped = {"user": row.values["user"], "history": seen[-5:], "next": item}
                yield Row(row.file, row.number, shaped)
            seen.append(item)

    def unit_key(self, row, columns):
        return str(row.get("user") or "")

    def metric(self, name, schema):
        known = {metric.name: metric for metric in self.metrics(schema)}
        if name not in known:
            raise RungError(f"there is no metric '{name}'", "bar.metric", f"There is {', '.join(known)}.")
        return known[name]

    def metrics(self, schema):
        return [MeanMetric("ndcg", _ndcg)]

    def parse_target(self, raw):
        return str(raw) if raw else None

    def response(self, prediction, schema, scores):
        return {"items": prediction.value}

    def tiny(self):
        return [{"history": [f"film {i % 6}"], "target": f"film {(i + 1) % 6}"} for i in range(24)]


class PopularItems(Model):
    """Use it to see what a score is worth: the same list for everyone."""

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


class CoOccurrence(Model):
    """Use it where the last item says what comes next; the history comes with the request."""

    TASKS = frozenset({"next_item"})

    def __init__(self, after: dict[str, list[str]]) -> None:
        self.after = after

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        followed: dict[str, Counter] = {}
        (histories,) = examples.inputs.values()
        for history, target in zip(histories, examples.targets, strict=True):
            followed.setdefault(history[-1], Counter())[target] += 1
        return cls({item: [t for t, _ in seen.most_common(5)] for item, seen in followed.items()})

    def predict(self, inputs):
        (histories,) = inputs.values()
        answers = (self.after.get(str(h[-1]) if h else "", []) for h in histories)
        return [Prediction(answer, answered_by="co_occurrence") for answer in answers]

    def save(self, folder: Path) -> None:
        (folder / "items.json").write_text(json.dumps(self.after))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(json.loads((folder / "items.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(facts.rows * 1e-6, 0.1, 40, 0.01)
