"""Ship the cheapest model that clears your bar.

`build` climbs a ladder of models for a product.yaml, `load` opens the bundle it ships, `plan` looks at a file
of data first. Names are loaded on first use, so that importing rung costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.core.errors import RungError
    from rung.core.product import Product
    from rung.improving import Improvement, improve
    from rung.pipeline import Build, build
    from rung.planning import plan
    from rung.serve.predictor import Predictor
    from rung.serve.predictor import open_bundle as load
    from rung.serve.server import serve
    from rung.stages.propose import Proposal

__all__ = [
    "Build", "Improvement", "Predictor", "Product", "Proposal", "RungError", "build", "improve", "load", "plan", "serve",
]  # fmt: skip

_HOMES = {
    "Build": ("rung.pipeline", "Build"),
    "Improvement": ("rung.improving", "Improvement"),
    "Predictor": ("rung.serve.predictor", "Predictor"),
    "Product": ("rung.core.product", "Product"),
    "Proposal": ("rung.stages.propose", "Proposal"),
    "RungError": ("rung.core.errors", "RungError"),
    "build": ("rung.pipeline", "build"),
    "improve": ("rung.improving", "improve"),
    "load": ("rung.serve.predictor", "open_bundle"),
    "plan": ("rung.planning", "plan"),
    "serve": ("rung.serve.server", "serve"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rung' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


__version__ = "0.1.0"
