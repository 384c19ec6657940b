"""Find tasks and models by name, through the entry points `rung.tasks` and `rung.models`.

Ours enter through the same door as other people's. The door leads to code that is installed, never to code
that came with data or a bundle.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from rung.core.errors import RungError, did_you_mean
from rung.core.model import Model
from rung.core.task import Task


@cache
def _found(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda p: p.name)}


def _load(group: str, kind: str, name: str) -> object:
    points = _found(group)
    if name not in points:
        fix = did_you_mean(name, points) if points else "Install rung itself: `pip install rung`."
        raise RungError(f"there is no {kind} called '{name}'", fix=fix)
    return points[name].load()


def task_names() -> tuple[str, ...]:
    """Return the names of all installed tasks."""
    return tuple(_found("rung.tasks"))


def model_names() -> tuple[str, ...]:
    """Return the names of all installed model families."""
    return tuple(_found("rung.models"))


def task(name: str) -> Task:
    """Return the task of that name; raises RungError with the nearest name when there is none."""
    found = _load("rung.tasks", "task", name)
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise RungError(f"the entry point rung.tasks:{name} is not a Task")
    return found()


def model(name: str) -> type[Model]:
    """Return the model family of that name; raises RungError with the nearest name when there is none."""
    found = _load("rung.models", "model", name)
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise RungError(f"the entry point rung.models:{name} is not a Model")
    return found


def code_version(task_name: str, *model_names: str) -> str:
    """Return which installed code answers for a task and its models: distributions and their versions."""
    models = (_found("rung.models").get(name) for name in model_names)
    points = (_found("rung.tasks").get(task_name), *models)
    return "; ".join(
        f"{p.dist.name} {p.dist.version}" for p in points if p is not None and p.dist is not None
    )


def models_for(task_name: str) -> list[str]:
    """Return the names of the model families that can do a task."""
    return [name for name in model_names() if task_name in model(name).TASKS]
