"""Every model family goes through the same checks on every task it can do."""

import importlib.util
import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rung.core import registry
from rung.core.model import Cost, DataFacts, Explains, FitContext, Probabilities
from rung.core.params import make_params
from rung.core.types import Examples
from rung.modalities.tables.parsing import cell_text
from ways_in import WAYS_IN


def installed(name):
    """Return whether the packages that fitting needs are there: an extra may be missing."""
    return all(importlib.util.find_spec(package) for package in registry.model(name).PACKAGES)


NAMES = [name for name in registry.model_names() if installed(name)]
PAIRS = [(name, task) for name in NAMES for task in sorted(registry.model(name).TASKS)]


def examples_of(task_name):
    task = registry.task(task_name)
    rows = task.tiny()
    names = [name for name in rows[0] if name != "target"]
    targets = [row["target"] for row in rows]
    inputs = {name: [row[name] for row in rows] for name in names}
    units = [f"{i:016x}" for i in range(len(rows))]
    cells = {name: Counter(cell_text(cell) for cell in column) for name, column in inputs.items()}
    schema = task.described(task.schema(names, targets), Counter(targets), lambda: cells, {})
    return task, Examples(schema, inputs, targets, units, list(range(1, len(rows) + 1)), [0.0] * len(rows))


@pytest.fixture(scope="session", autouse=True)
def brought(tmp_path_factory):
    """The files of the families that have no defaults to run with."""
    folder = tmp_path_factory.mktemp("brought")
    PARAMS.update({name: (write(folder), folder) for name, write in WAYS_IN.items()})


PARAMS = {}


def fitted(name, task_name, seed=0):
    task, examples = examples_of(task_name)
    family = registry.model(name)
    given, base = PARAMS.get(name, ({}, Path()))
    context = FitContext(seed=seed, effort=1, base=base)
    return task, examples, family, family.fit(examples, make_params(family.Params, given), context)


def test_whatever_can_run_with_its_defaults_does():
    """A way in is for a family that only enters a ladder that names it, and that says so without its file."""
    for name in NAMES:
        family = registry.model(name)
        reason = family.unavailable(DataFacts(100, 2, 100.0, repeated=1.0), family.Params(), FitContext())
        assert (reason is not None) == (name in WAYS_IN), name
        assert reason is None or (family.PLACE == "asked" and reason.fix)


@pytest.mark.parametrize("name,task_name", PAIRS)
class TestModel:
    def test_inputs_are_unchanged_and_the_floor_is_reached(self, name, task_name):
        task, examples, _, model = fitted(name, task_name)
        before = json.dumps(dict(examples.inputs))
        answers = model.predict(examples.inputs)
        assert json.dumps(dict(examples.inputs)) == before
        assert len(answers) == len(examples)
        metric = task.metric(task.default_metric, examples.schema)
        _, _, _, floor = fitted(task.floor, task_name)
        floor_score = metric.score(examples.targets, floor.predict(examples.inputs), examples.schema)
        assert metric.score(examples.targets, answers, examples.schema) >= floor_score

    def test_same_seed_same_model(self, name, task_name):
        task, examples, _, one = fitted(name, task_name)
        _, _, _, two = fitted(name, task_name)
        for a, b in zip(one.predict(examples.inputs), two.predict(examples.inputs), strict=True):
            assert task.same(a, b)

    def test_a_fresh_process_gives_equal_predictions(self, name, task_name, tmp_path):
        task, examples, _, model = fitted(name, task_name)
        model.save(tmp_path)
        code = f"""
import json, sys
from pathlib import Path
from rung.core import registry
from rung.core.types import Schema
schema = Schema.from_dict(json.loads(sys.stdin.readline()))
inputs = json.loads(sys.stdin.readline())
model = registry.model({name!r}).load(Path({str(tmp_path)!r}), schema)
task = registry.task({task_name!r})
print(json.dumps([task.response(a, schema, True) for a in model.predict(inputs)]))
"""
        text = json.dumps(examples.schema.as_dict()) + "\n" + json.dumps(dict(examples.inputs)) + "\n"
        done = subprocess.run(
            [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True
        )
        here = [task.response(a, examples.schema, True) for a in model.predict(examples.inputs)]
        assert json.loads(done.stdout) == here

    def test_saves_nothing_that_runs_code(self, name, task_name, tmp_path):
        fitted(name, task_name)[3].save(tmp_path)
        kinds = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
        assert kinds and kinds <= {".safetensors", ".json", ".onnx", ".txt"}

    def test_empty_and_unseen_input(self, name, task_name):
        _, examples, _, model = fitted(name, task_name)
        strange = ["", " ", "zzzz qqqq", "龘龘龘", "🙂", "a" * 300_000, "\x00\ud800"]
        odd = {
            "number": [None, 0.0, 1e300, -1e300, 5e-324, 7.0, None],
            "time": ["", None, "1000-01-01", "9999-12-31"] + [None] * 3,
        }
        answers = model.predict({f.name: odd.get(f.kind, strange) for f in examples.schema.inputs})
        assert len(answers) == len(strange)
        labels = examples.schema.labels
        assert all(a.value in labels if labels else math.isfinite(a.value) for a in answers)
        assert model.predict({f.name: [] for f in examples.schema.inputs}) == []

    def test_a_row_does_not_depend_on_its_neighbours(self, name, task_name):
        task, examples, _, model = fitted(name, task_name)
        together = model.predict(examples.inputs)
        for i in range(0, len(examples), 5):
            (alone,) = model.predict(examples.take([i]).inputs)
            assert task.same(alone, together[i])

    def test_optional_protocols_hold(self, name, task_name):
        _, examples, _, model = fitted(name, task_name)
        if isinstance(model, Probabilities) and examples.schema.labels:
            found = model.probabilities(examples.inputs)
            assert found.shape == (len(examples), len(model.labels))
            assert np.allclose(found.sum(axis=1), 1.0) and (found >= 0).all()
        if isinstance(model, Explains):
            reasons = model.explain(examples.inputs, most=3)
            assert len(reasons) == len(examples) and all(len(r) <= 3 for r in reasons)

    def test_a_plan_costs_something_and_grows_with_the_data(self, name, task_name):
        family = registry.model(name)
        small = family.cost(DataFacts(100, 2, 100.0), family.Params(), FitContext())
        large = family.cost(DataFacts(100_000, 2, 100.0), family.Params(), FitContext())
        long = family.cost(DataFacts(100, 2, 1000.0), family.Params(), FitContext())
        assert isinstance(small, Cost) and 0 < small.cpu_seconds_per_1k <= long.cpu_seconds_per_1k
        assert small.fit_seconds <= large.fit_seconds

    def test_the_docstring_says_when_to_use_it(self, name, task_name):
        assert registry.model(name).__doc__.strip().startswith("Use it")
