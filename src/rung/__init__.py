"""Ship the cheapest model that clears your bar.

`build` climbs a ladder of models for a product.yaml, `load` opens the bundle it ships, `plan` looks at a file
of data first. Names are loaded on first use, so that importing rung costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.building.proposal import Proposal
    from rung.core.errors import RungError
    from rung.core.spec.product import Product
    from rung.serving.http.server import serve
    from rung.serving.predictor import Predictor
    from rung.serving.predictor import open_bundle as load
    from rung.workflows.build import Build, build
    from rung.workflows.improve import Improvement, improve
    from rung.workflows.plan import plan

__all__ = [
    "Build", "Improvement", "Predictor", "Product", "Proposal", "RungError", "build", "improve", "load", "plan", "serve",
]  # fmt: skip

_HOMES = {
    "Build": ("rung.workflows.build", "Build"),
    "Improvement": ("rung.workflows.improve", "Improvement"),
    "Predictor": ("rung.serving.predictor", "Predictor"),
    "Product": ("rung.core.spec.product", "Product"),
    "Proposal": ("rung.building.proposal", "Proposal"),
    "RungError": ("rung.core.errors", "RungError"),
    "build": ("rung.workflows.build", "build"),
    "improve": ("rung.workflows.improve", "improve"),
    "load": ("rung.serving.predictor", "open_bundle"),
    "plan": ("rung.workflows.plan", "plan"),
    "serve": ("rung.serving.http.server", "serve"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rung' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


__version__ = "0.1.0"
