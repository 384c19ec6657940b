"""Engines by the name that `engine` of product.yaml and `rung build --engine` give them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from rung.core.engine import Engine, ManagedEngine, Place
from rung.core.errors import RungError, did_you_mean
from rung.engines.local import LocalEngine
from rung.engines.ray import RayEngine

ADDRESS = "ray://"
NAMES = ("local", "ray")


def open_engine(name: str) -> Engine:
    """Return the engine of that name, with nothing started: local, ray, or ray://host:port for a cluster that runs.

    Raises RungError for an unknown one, MissingExtra where its package is absent.
    """
    if name == "local":
        return LocalEngine()
    if name == "ray":
        return RayEngine()
    if name.startswith(ADDRESS):
        return RayEngine(name)
    fix = f"{did_you_mean(name, NAMES)} ray://HOST:PORT names a cluster that runs."
    raise RungError(f"there is no engine called '{name}'", "engine", fix)


def running(engine: Engine, place: Place) -> AbstractContextManager[None]:
    """Return a block inside of which the engine has what it needs; of one that starts nothing, an empty one."""
    return engine.running(place) if isinstance(engine, ManagedEngine) else nullcontext()


def is_parallel(engine: Engine) -> bool:
    """Return whether jobs of the engine are known to run at the same time."""
    return isinstance(engine, ManagedEngine) and engine.is_parallel
