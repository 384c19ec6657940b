"""A stranger: files of bytes go in by reference, a label comes out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Self

import numpy as np

from rung.core.metrics.base import MeanMetric
from rung.core.model import Cost, Model, answers_from
from rung.core.task import Task
from rung.core.types import Field, Schema


class BlobLabelling(Task):
    name = "blob_labelling"
    title = "A label for a file of bytes"
    floor = "blob_majority"
    default_metric = "accuracy"

    def schema(self, inputs, targets):
        labels = tuple(sorted(set(targets)))
        return Schema(
            tuple(Field(i, "file", "input") for i in inputs), (Field("label", "category", "output", labels),)
        )

    def metric(self, name, schema):
        return {m.name: m for m in self.metrics(schema)}[name]

    def metrics(self, schema):
        return [MeanMetric("accuracy", lambda truth, answer: float(truth == answer.value))]

    def parse_target(self, raw):
        return str(raw) if raw else None

    def response(self, prediction, schema, scores):
        return {"label": prediction.value, "probability": round(prediction.score, 6)}

    def tiny(self):
        return []


class BlobMajority(Model):
    """The floor."""

    TASKS = frozenset({"blob_labelling"})

    def __init__(self, labels: tuple[str, ...], top: int) -> None:
        self.labels, self.top = labels, top

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        labels = examples.schema.labels
        return cls(labels, labels.index(Counter(examples.targets).most_common(1)[0][0]))

    def predict(self, inputs):
        n = len(next(iter(inputs.values())))
        return answers_from(np.tile(np.eye(len(self.labels))[self.top], (n, 1)), self.labels, "blob_majority")

    def save(self, folder: Path) -> None:
        (folder / "top.json").write_text(json.dumps(self.top))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(schema.labels, json.loads((folder / "top.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.0, 0.001, 40, 0.01)


class BlobHistogram(BlobMajority):
    """Nearest mean byte histogram."""

    def __init__(self, labels: tuple[str, ...], centres: Any) -> None:
        self.labels, self.centres = labels, centres

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        seen = _histograms(examples.inputs)
        targets = np.array(examples.targets)
        return cls(
            examples.schema.labels,
            np.array([seen[targets == label].mean(0) for label in examples.schema.labels]),
        )

    def predict(self, inputs):
        distance = ((_histograms(inputs)[:, None] - self.centres) ** 2).sum(2)
        near = np.exp(-50 * distance)
        return answers_from(near / near.sum(1, keepdims=True), self.labels, "blob_histogram")

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        save_file({"centres": self.centres}, folder / "centres.safetensors")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        from safetensors.numpy import load_file

        return cls(schema.labels, load_file(folder / "centres.safetensors")["centres"])

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.1, 0.1, 40, 0.01)


def _histograms(inputs):
    blobs = [p.read() for p in next(iter(inputs.values()))]
    return np.array(
        [np.bincount(np.frombuffer(b, np.uint8) >> 5, minlength=8) / max(len(b), 1) for b in blobs]
    )
