"""Engines by the name that `engine` of product.yaml and `rung build --engine` give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rung.core.engine import Engine
from rung.core.errors import RungError, did_you_mean
from rung.engines.local import LocalEngine
from rung.engines.ray import RayEngine

ENGINES: Mapping[str, Callable[[], Engine]] = {"local": LocalEngine, "ray": RayEngine}


def open_engine(name: str) -> Engine:
    """Return the engine of that name; raises RungError for an unknown one, MissingExtra where its package is absent."""
    if name not in ENGINES:
        raise RungError(f"there is no engine called '{name}'", "engine", did_you_mean(name, ENGINES))
    return ENGINES[name]()
