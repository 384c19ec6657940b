"""Look up installed tasks, models and kinds by entry point."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from rung.core.errors import RungError, did_you_mean

TASKS, MODELS, KINDS = "rung.tasks", "rung.models", "rung.kinds"
Found = TypeVar("Found")


@cache
def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name, sorted."""
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda p: p.name)}


def load(group: str, name: str, base: type[Found]) -> type[Found]:
    """Return the class that an entry point names.

    Raises RungError with the nearest name when there is none, or when it names no subclass of `base`.
    """
    points = installed(group)
    if name not in points:
        fix = (
            did_you_mean(name, points)
            if points
            else "Install rung itself, in its source folder: `pip install -e .`."
        )
        raise RungError(f"there is no {base.__name__.lower()} called '{name}'", fix=fix)
    found = _loaded(group, name)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise RungError(f"the entry point {group}:{name} is not a {base.__name__}")
    return found


@cache
def _loaded(group: str, name: str) -> object:
    return installed(group)[name].load()


def refresh() -> None:
    """Look for entry points again: a package was installed or put on the path since."""
    installed.cache_clear()
    _loaded.cache_clear()
