"""The contract of a model family."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rung.core import registry
from rung.core.blobs import Blob, TransferMedia
from rung.core.kind import kind
from rung.core.metrics.scored import ScoredRows, score
from rung.core.model import Cost, DataFacts, Explains, FitContext, Model, Probabilities
from rung.core.params import make_params
from rung.core.task import Task
from rung.core.types import Examples
from rung.testing.samples import tiny_examples

_SUFFIXES = {".safetensors", ".json", ".onnx", ".txt", ".gguf", ".parquet"}
_SCRIPT = """
import json, sys
from pathlib import Path
from rung.core import registry
from rung.core.blobs import TransferMedia
from rung.core.kind import kind
from rung.core.metrics.scored import ScoredRows, score
from rung.core.types import Schema
asked = json.load(sys.stdin)
schema = Schema.from_dict(asked["schema"])
media = TransferMedia(Path(asked["folder"]))
kinds = {f.name: kind(f.kind) for f in schema.inputs}
inputs = {n: [media.resolve(v) if v and kinds[n].is_media else v for v in column] for n, column in asked["inputs"].items()}
model = registry.model(asked["model"]).load(Path(asked["folder"]) / "model", schema)
task = registry.task(asked["task"])
print(json.dumps([task.response(a, schema, True) for a in model.predict(inputs)]))
"""


def check_model(
    name: str, params: Mapping[str, Any] | None = None, base: Path = Path(), tasks: Sequence[str] = ()
) -> None:
    """Raise AssertionError with all that a model family does not keep of the contract.

    params: its parameters, where it has no defaults to run with; base: the folder that paths among them start from.
    tasks: some of those it names; by default all of them.
    """
    family = registry.model(name)
    made = make_params(family.Params, dict(params or {}))
    problems = _plan(family, made, FitContext(base=base))
    for task_name in tasks or sorted(family.TASKS):
        task, examples = tiny_examples(task_name)
        context = FitContext(effort=1, base=base)
        model = family.fit(examples, made, context)
        found = [
            *_answers(task, examples, model),
            *_repeats(task, examples, model, family.fit(examples, made, context)),
            *_saved(name, task, examples, model),
            *_protocols(examples, model),
        ]
        problems += [f"{task_name}: {problem}" for problem in found]
    assert not problems, f"the model '{name}':\n" + "\n".join(f"- {problem}" for problem in problems)


def _plan(family: type[Model], params: Any, context: FitContext) -> list[str]:
    found = []
    if not (family.__doc__ or "").strip().startswith("Use it"):
        found.append("its docstring does not say when to use it: begin with 'Use it ...'")
    small = family.cost(DataFacts(100, 2, 100.0), params, context)
    large = family.cost(DataFacts(100_000, 2, 100.0), params, context)
    if not isinstance(small, Cost) or small.cpu_seconds_per_1k <= 0:
        found.append("cost() gives no positive price of a prediction")
    elif small.fit_seconds > large.fit_seconds:
        found.append("cost(): more rows are planned to fit faster")
    return found


def _answers(task: Task, examples: Examples, model: Model) -> list[str]:
    found = []
    before = _shown(examples)
    answers = model.predict(examples.inputs)
    if _shown(examples) != before:
        found.append("predict changes its inputs")
    if len(answers) != len(examples):
        return [*found, f"predict gives {len(answers)} answers to {len(examples)} rows"]
    if model.predict({f.name: [] for f in examples.schema.inputs}) != []:
        found.append("predict of no rows is not []")
    metric = task.metric(task.default_metric, examples.schema)
    floor_family = registry.model(task.floor)
    floor = floor_family.fit(examples, floor_family.Params(), FitContext(effort=1))
    sign = 1 if metric.higher_is_better else -1
    reached = score(metric, ScoredRows.of(examples, answers))
    least = score(metric, ScoredRows.of(examples, floor.predict(examples.inputs)))
    if sign * reached < sign * least:
        found.append(
            f"{metric.name} {reached:.4f} on its own training rows is worse than the floor's {least:.4f}"
        )
    if examples.schema.labels and not all(a.value in examples.schema.labels for a in answers):
        found.append("an answer is none of the labels")
    if any(isinstance(a.value, float) and not math.isfinite(a.value) for a in answers):
        found.append("an answer is not finite")
    return found


def _repeats(task: Task, examples: Examples, model: Model, again: Model) -> list[str]:
    if task.is_stochastic or getattr(model, "is_stochastic", False):
        return []
    found = []
    together = model.predict(examples.inputs)
    if not all(task.same(a, b) for a, b in zip(together, again.predict(examples.inputs), strict=True)):
        found.append("the same rows, parameters and seed give another model")
    for i in range(0, len(examples), 5):
        (alone,) = model.predict(examples.take([i]).inputs)
        if not task.same(alone, together[i]):
            found.append(f"the answer to row {i} depends on its neighbours")
            break
    return found


def _saved(name: str, task: Task, examples: Examples, model: Model) -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "model").mkdir()
        model.save(folder / "model")
        suffixes = {path.suffix for path in (folder / "model").rglob("*") if path.is_file()}
        if not suffixes or not suffixes <= _SUFFIXES:
            return [f"save writes {sorted(suffixes)}; a bundle holds only {sorted(_SUFFIXES)}"]
        media = TransferMedia(folder)
        asked = {
            "model": name, "task": task.name, "schema": examples.schema.as_dict(), "folder": str(folder),
            "inputs": {n: [_sent(v, media) for v in column] for n, column in examples.inputs.items()},
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT], input=json.dumps(asked), capture_output=True, text=True, check=False,
            env=_environment(),
        )  # fmt: skip
    if done.returncode:
        return [f"a fresh process cannot load it: {done.stderr[-1500:]}"]
    if task.is_stochastic or getattr(model, "is_stochastic", False):
        return []
    here = [task.response(a, examples.schema, True) for a in model.predict(examples.inputs)]
    same = json.loads(done.stdout) == json.loads(json.dumps(here))
    return [] if same else ["a fresh process answers differently after loading"]


def _protocols(examples: Examples, model: Model) -> list[str]:
    found = []
    if isinstance(model, Probabilities) and examples.schema.labels:
        chances = model.probabilities(examples.inputs)
        if chances.shape != (len(examples), len(model.labels)) or not np.allclose(chances.sum(axis=1), 1.0):
            found.append("probabilities is not [rows, labels] with rows that sum to 1")
    if isinstance(model, Explains):
        reasons = model.explain(examples.inputs, most=3)
        if len(reasons) != len(examples) or any(len(r) > 3 for r in reasons):
            found.append("explain gives not one list a row, or more than `most` reasons")
    return found


def _shown(examples: Examples) -> str:
    kinds = {f.name: kind(f.kind) for f in examples.schema.inputs}
    return json.dumps({n: [kinds[n].to_json(v) for v in column] for n, column in examples.inputs.items()})


def _sent(value: Any, media: TransferMedia) -> Any:
    return media.reference(value) if isinstance(value, Blob) else value


def _environment() -> dict[str, str]:
    import os

    # The child finds plugins that are only on sys.path where this process found them.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONUTF8": "1"}
