"""A task's own tiny sample as examples that models can be fitted on."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rung.core import registry
from rung.core.kind import kind
from rung.core.task import Task
from rung.core.types import Examples


def tiny_examples(task_name: str) -> tuple[Task, Examples]:
    """Return a task and its `tiny()` rows, read as the values of a request are and described as a build would."""
    task = registry.task(task_name)
    rows = task.tiny()
    assert rows, f"{task_name}: tiny() is empty"
    names = [name for name in rows[0] if name != "target"]
    targets = [row["target"] for row in rows]
    plain = task.schema(names, targets)
    cells = {name: Counter(_cell(row[name]) for row in rows) for name in names}
    schema = task.described(plain, Counter(map(_hashable, targets)), lambda: cells, {})
    readers = {f.name: kind(f.kind).reader(f) for f in schema.inputs}
    inputs = {
        name: [readers[name](row[name], f"tiny row {i}") for i, row in enumerate(rows)] for name in names
    }
    units = [f"{i:016x}" for i in range(len(rows))]
    return task, Examples(schema, inputs, targets, units, list(range(1, len(rows) + 1)), [0.0] * len(rows))


def _cell(value: Any) -> str:
    return kind("category").to_cell(kind("category").parse(value, None)) if _is_cell(value) else ""  # type: ignore[arg-type]


def _is_cell(value: Any) -> bool:
    return value is not None and not isinstance(value, list | dict | bytes)


def _hashable(target: Any) -> Any:
    return tuple(target) if isinstance(target, list) else target
