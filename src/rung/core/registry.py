"""Tasks and models by name, through the entry points `rung.tasks` and `rung.models`.

Ours enter through the same entry points as other packages' do. They lead to code that is installed, never to code
that came with data or a bundle.
"""

from __future__ import annotations

from rung.core.model import Model
from rung.core.plugins import MODELS, TASKS, installed, load
from rung.core.task import Task


def task_names() -> tuple[str, ...]:
    """Return the names of all installed tasks."""
    return tuple(installed(TASKS))


def model_names() -> tuple[str, ...]:
    """Return the names of all installed model families."""
    return tuple(installed(MODELS))


def task(name: str) -> Task:
    """Return the task of that name; raises RungError with the nearest name when there is none."""
    return load(TASKS, name, Task)()  # type: ignore[type-abstract]


def model(name: str) -> type[Model]:
    """Return the model family of that name; raises RungError with the nearest name when there is none."""
    return load(MODELS, name, Model)  # type: ignore[type-abstract]


def code_version(task_name: str, *model_names: str) -> str:
    """Return which installed code answers for a task and its models: distributions and their versions."""
    models = (installed(MODELS).get(name) for name in model_names)
    points = (installed(TASKS).get(task_name), *models)
    return "; ".join(
        f"{p.dist.name} {p.dist.version}" for p in points if p is not None and p.dist is not None
    )


def models_for(task_name: str) -> list[str]:
    """Return the names of the model families that can do a task: its floor, and those that list it."""
    floor = task(task_name).floor
    return [name for name in model_names() if name == floor or task_name in model(name).TASKS]
