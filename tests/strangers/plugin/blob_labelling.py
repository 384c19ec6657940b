"""A stranger: patches of grey, a kind of media of its own, go in; a label comes out."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any, Self

import numpy as np

from rung import Blob, Cost, Field, MeanMetric, MediaKind, Model, Prediction, RungError, Schema, Task

MAGIC = b"GREY"


class Patch(MediaKind):
    """Grey values of one byte each, behind four bytes that say so."""

    name = "patch"
    suffixes = frozenset({".grey"})
    accepts = "application/x-grey"
    max_bytes = 1 << 16

    def inspect(self, blob: Blob) -> dict[str, float]:
        data = blob.read()
        if not data.startswith(MAGIC) or len(data) == len(MAGIC):
            raise ValueError("unreadable: is no patch of grey")
        values = np.frombuffer(data, np.uint8, offset=len(MAGIC))
        return {"brightness": round(float(values.mean()), 3)}

    def tiny(self) -> list[Any]:
        return [patch(200, 0), patch(20, 1)]


def patch(level: int, seed: int) -> bytes:
    """Return a patch around a level of grey."""
    rng = random.Random(seed)
    return MAGIC + bytes(min(max(level + rng.randrange(-40, 40), 0), 255) for _ in range(100))


class BlobLabelling(Task):
    """A label for a patch."""

    name = "blob_labelling"
    title = "A label for a patch of grey"
    floor = "blob_majority"
    default_metric = "accuracy"

    def schema(self, inputs, targets):
        labels = tuple(sorted(set(targets)))
        fields = tuple(Field(name, "patch", "input") for name in inputs)
        return Schema(fields, (Field("label", "category", "output", labels),))

    def default_inputs(self, columns):
        return ("patch",)

    def metric(self, name, schema):
        known = {metric.name: metric for metric in self.metrics(schema)}
        if name not in known:
            raise RungError(f"there is no metric '{name}'", "bar.metric", f"There is {', '.join(known)}.")
        return known[name]

    def metrics(self, schema):
        return [MeanMetric("accuracy", lambda truth, answer: float(truth == answer.value), binary=True)]

    def parse_target(self, raw):
        return str(raw) if raw else None

    def same(self, one, other):
        return abs(one.score - other.score) < 1e-4

    def response(self, prediction, schema, scores):
        return {"label": prediction.value, "probability": round(prediction.score, 6)}

    def columns(self, schema, scores):
        return [*schema.outputs, Field("probability", "number", "output")]

    def tiny(self):
        return [
            {"patch": patch(60 if i % 2 else 190, i), "target": "dark" if i % 2 else "light"}
            for i in range(24)
        ]


class BlobMajority(Model):
    """Use it to see what a score is worth."""

    TASKS = frozenset({"blob_labelling"})

    def __init__(self, labels: tuple[str, ...], top: int) -> None:
        self.labels, self.top = labels, top

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        labels = examples.schema.labels
        return cls(labels, labels.index(Counter(examples.targets).most_common(1)[0][0]))

    def predict(self, inputs):
        answer = Prediction(self.labels[self.top], 1.0, answered_by="blob_majority")
        return [answer for _ in next(iter(inputs.values()))]

    def save(self, folder: Path) -> None:
        (folder / "top.json").write_text(json.dumps(self.top))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(schema.labels, json.loads((folder / "top.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.0, 0.001, 40, 0.01)


class BlobHistogram(Model):
    """Use it where shades of grey decide: the nearest mean histogram."""

    TASKS = frozenset({"blob_labelling"})

    def __init__(self, labels: tuple[str, ...], centres: Any) -> None:
        self.labels, self.centres = labels, centres

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        seen, targets = _histograms(examples.inputs), np.array(examples.targets)
        labels = examples.schema.labels
        return cls(labels, np.array([seen[targets == label].mean(0) for label in labels]))

    def predict(self, inputs):
        if not len(next(iter(inputs.values()))):
            return []
        near = np.exp(-20 * ((_histograms(inputs)[:, None] - self.centres) ** 2).sum(2))
        chances = near / near.sum(1, keepdims=True)
        return [
            Prediction(self.labels[row.argmax()], float(row.max()), answered_by="blob_histogram")
            for row in chances
        ]

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        save_file({"centres": self.centres}, folder / "centres.safetensors")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        from safetensors.numpy import load_file

        return cls(schema.labels, load_file(folder / "centres.safetensors")["centres"])

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(facts.rows * 1e-5, 0.05, 40, 0.01)


def _histograms(inputs):
    blobs = [blob.read()[len(MAGIC) :] for blob in next(iter(inputs.values()))]
    counts = [np.bincount(np.frombuffer(b, np.uint8) >> 5, minlength=8) / len(b) for b in blobs]
    return np.array(counts)
