"""A stranger: levels of devices over time become windows; a window goes in, the next level comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from rung import Cost, Field, MeanMetric, Model, Prediction, Row, RungError, Schema, Task

WINDOW, NEAR = 4, 0.5


class NextLevel(Task):
    """The next level of a series."""

    name = "next_level"
    title = "The next level of a series"
    floor = "level_mean"
    default_metric = "near"
    unit = "series"

    def schema(self, inputs, targets):
        return Schema(tuple(Field(i, "list", "input") for i in inputs), (Field("level", "number", "output"),))

    def source_columns(self, columns):
        return (columns.group, columns.time, "level")

    def reshape(self, rows, columns):
        """A window of the last four levels of a device, and the level after it; in the order of time."""
        found = []
        for row in rows:
            if row.values is None or "window" in row.values:
                yield row
            else:
                found.append(row)
        found.sort(key=lambda row: float(row.values[columns.time]))
        before: dict[str, list[float]] = {}
        for row in found:
            seen = before.setdefault(str(row.values[columns.group]), [])
            level = float(row.values["level"])
            if len(seen) >= WINDOW:
                kept = {name: row.values[name] for name in (columns.group, columns.time)}
                yield Row(row.file, row.number, {**kept, "window": seen[-WINDOW:], "next": level})
            seen.append(level)

    def metric(self, name, schema):
        known = {metric.name: metric for metric in self.metrics(schema)}
        if name not in known:
            raise RungError(f"there is no metric '{name}'", "bar.metric", f"There is {', '.join(known)}.")
        return known[name]

    def metrics(self, schema):
        return [
            MeanMetric("near", lambda truth, answer: float(abs(truth - answer.value) <= NEAR), binary=True)
        ]

    def parse_target(self, raw):
        return None if raw is None or raw == "" else float(raw)

    def same(self, one, other):
        return abs(one.value - other.value) < 1e-6

    def response(self, prediction, schema, scores):
        return {"level": round(prediction.value, 4)}

    def tiny(self):
        return [
            {"window": [float(i + k) for k in range(WINDOW)], "target": float(i + WINDOW)} for i in range(24)
        ]


class LevelMean(Model):
    """Use it to see what a score is worth: the mean level of all."""

    TASKS = frozenset({"next_level"})

    def __init__(self, mean: float) -> None:
        self.mean = mean

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        return cls(sum(examples.targets) / len(examples))

    def predict(self, inputs):
        return [Prediction(self.mean, answered_by="level_mean") for _ in next(iter(inputs.values()))]

    def save(self, folder: Path) -> None:
        (folder / "mean.json").write_text(json.dumps(self.mean))

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        return cls(json.loads((folder / "mean.json").read_text()))

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.0, 0.001, 40, 0.01)


class LastStep(LevelMean):
    """Use it where series go on as they went: the last level and the mean step learned from all."""

    @classmethod
    def fit(cls, examples, params, context) -> Self:
        (windows,) = examples.inputs.values()
        steps = [target - window[-1] for window, target in zip(windows, examples.targets, strict=True)]
        return cls(sum(steps) / len(steps))

    def predict(self, inputs):
        (windows,) = inputs.values()
        return [Prediction((w[-1] if w else 0.0) + self.mean, answered_by="last_step") for w in windows]

    @classmethod
    def cost(cls, facts, params, context) -> Cost:
        return Cost(0.0, 0.01, 40, 0.01)
