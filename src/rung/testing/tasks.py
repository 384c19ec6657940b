"""The contract of a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rung.core import registry
from rung.core.errors import RungError
from rung.core.kind import kind, kind_names
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.testing.samples import tiny_examples

_UNITS = {"row", "group", "user", "document", "series"}


def check_task(name: str) -> None:
    """Raise AssertionError with all that the task of this name does not keep of the contract."""
    task, examples = tiny_examples(name)
    problems = [
        *_names(name, task),
        *_sample(task, examples),
        *_metrics(task, examples),
        *_identity(task, examples),
        *_answers(task, examples),
    ]
    assert not problems, f"the task '{name}':\n" + "\n".join(f"- {problem}" for problem in problems)


def _names(name: str, task: Any) -> list[str]:
    found = []
    if task.name != name:
        found.append(f"its `name` is '{task.name}'")
    if not task.title:
        found.append("it has no `title`")
    if task.unit not in _UNITS:
        found.append(f"`unit` is '{task.unit}', none of {sorted(_UNITS)}")
    if task.floor not in registry.models_for(name):
        found.append(f"its floor '{task.floor}' is no model that names the task in TASKS")
    return found


def _sample(task: Any, examples: Examples) -> list[str]:
    found = []
    if len(examples) < 20:
        found.append(f"tiny() has {len(examples)} rows; at least 20 are needed")
    unknown = [
        f.kind for f in (*examples.schema.inputs, *examples.schema.outputs) if f.kind not in kind_names()
    ]
    if unknown:
        found.append(f"its schema names kinds that are not installed: {unknown}")
    counts = Counter(tuple(t) if isinstance(t, list) else t for t in examples.targets)
    try:
        task.check(counts, "tiny")
    except RungError as error:
        found.append(f"check() refuses tiny(): {error.problem}")
    for target in examples.targets[:5]:
        if task.parse_target(target) is None:
            found.append(f"parse_target({target!r}) is None, and it is a target of tiny()")
    if task.parse_target(None) is not None:
        found.append("parse_target(None) is a target; a missing one must be None")
    return found


def _metrics(task: Any, examples: Examples) -> list[str]:
    found = []
    metrics = task.metrics(examples.schema)
    if not metrics or metrics[0].name != task.default_metric:
        found.append(f"metrics() does not begin with the default metric '{task.default_metric}'")
    if task.metric(task.default_metric, examples.schema).name != task.default_metric:
        found.append(f"metric('{task.default_metric}') is another metric")
    try:
        task.metric("no such metric", examples.schema)
        found.append("metric('no such metric') raises nothing")
    except RungError:
        pass
    except Exception as error:
        found.append(
            f"metric('no such metric') raises {type(error).__name__}; a RungError names the known ones"
        )
    return found


def _identity(task: Any, examples: Examples) -> list[str]:
    found = []
    rows = list(examples.records())
    keys = [task.dedup_key(row) for row in rows]
    if keys != [task.dedup_key(dict(row)) for row in rows]:
        found.append("dedup_key differs for equal rows")
    if not all(isinstance(key, str) for key in keys):
        found.append("dedup_key is not a string")
    if len(set(keys)) < 2:
        found.append("dedup_key is the same for all rows of tiny()")
    refused = [task.refuse_input(row) for row in rows if task.refuse_input(row)]
    if refused:
        found.append(f"refuse_input refuses rows of tiny(): {refused[0]}")
    return found


def _answers(task: Any, examples: Examples) -> list[str]:
    found = []
    family = registry.model(task.floor)
    model = family.fit(examples, family.Params(), FitContext(effort=1))
    answers = model.predict(examples.take([0, 1]).inputs)
    for scores in (False, True):
        fields = task.columns(examples.schema, scores)
        said = task.response(answers[0], examples.schema, scores)
        if set(said) != {f.name for f in fields}:
            found.append(
                f"response(scores={scores}) fills {sorted(said)}, columns() names {[f.name for f in fields]}"
            )
            continue
        found += [
            f"response: '{f.name}' is {said[f.name]!r}, which does not fit {schema}"
            for f in fields
            if not _fits(said[f.name], schema := kind(f.kind).json_schema(f))
        ]
    if not (task.is_stochastic or task.same(answers[0], answers[0])):
        found.append("same(a, a) is false")
    return found


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Return whether a value is of a JSON schema's type; other words of the schema are not looked at."""
    if value is None or "type" not in schema:
        return True
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    known: dict[str, tuple[type, ...]] = {
        "string": (str,), "number": (int, float), "integer": (int,), "boolean": (bool,), "array": (list, tuple),
        "object": (dict,), "null": (type(None),),
    }  # fmt: skip
    return any(isinstance(value, known[name]) for name in types) and value in schema.get("enum", [value])
