"""Predictors of a few lines, for tests of what a server does around a model."""

from rung.core.manifest import Manifest
from rung.core.task import Task
from rung.core.types import Field, Prediction, Schema
from rung.serving.predictor import Predictor


class AnyTask(Task):
    """A task of any schema; its answer is the prediction's value under the first output's name."""

    name = "any_task"
    title = "Anything"
    floor = "none"
    default_metric = "none"

    def __init__(self, schema):
        self._schema = schema

    def schema(self, inputs, targets):
        return self._schema

    def metric(self, name, schema):
        raise AssertionError

    def metrics(self, schema):
        return []

    def parse_target(self, raw):
        return raw

    def response(self, prediction, schema, scores):
        return {schema.outputs[0].name: prediction.value}

    def tiny(self):
        return []


class Answering:
    """Answers each row by a function of its inputs."""

    def __init__(self, answer):
        self._answer = answer

    def predict(self, inputs):
        rows = (dict(zip(inputs, cells, strict=True)) for cells in zip(*inputs.values(), strict=True))
        return [Prediction(self._answer(row), answered_by="small") for row in rows]


class Streaming(Answering):
    """Yields the pieces that a generator function of the inputs gives."""

    def __init__(self, pieces):
        super().__init__(lambda row: "".join(pieces(row)))
        self.stream = pieces


def small(tmp_path, model, name="small", output="text", **inputs):
    """Return the predictor of a model. inputs: name -> kind."""
    fields = tuple(Field(n, kind, "input") for n, kind in inputs.items())
    schema = Schema(fields, (Field("answer", output, "output"),))
    manifest = Manifest(
        name, "v1", "0", "any_task", "small", "small", f"/v1/models/{name}/predict", schema, {}, certified=True
    )  # fmt: skip
    return Predictor(manifest, AnyTask(schema), model, tmp_path)
