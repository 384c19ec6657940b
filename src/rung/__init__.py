"""Ship the cheapest model that clears your bar.

`build` climbs a ladder of models for a product.yaml, `load` opens the bundle it ships, `plan` looks at a file
of data first. Task, Model, Kind and what goes with them are for plugins; `rung.testing` checks those. Names are loaded
on first use, so that importing rung costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.building.proposal import Proposal
    from rung.core.blobs import Blob
    from rung.core.errors import FitCancelled, InputError, RungError
    from rung.core.kind import Kind, MediaKind
    from rung.core.metrics.base import MeanMetric, Metric
    from rung.core.model import Cost, DataFacts, FitContext, Model, Reason
    from rung.core.spec.product import Product
    from rung.core.stats.confidence_bounds import Bound
    from rung.core.task import ColumnProfile, ColumnRoles, Guess, Task
    from rung.core.types import Columns, Examples, Field, Prediction, Row, Schema
    from rung.runtime.service.client import ServiceClient
    from rung.serving.http.server import serve
    from rung.serving.predictor import Predictor
    from rung.serving.predictor import open_bundle as load
    from rung.workflows.build import Build, build
    from rung.workflows.improve import Improvement, improve
    from rung.workflows.plan import plan

__all__ = [
    "Blob", "Bound", "Build", "ColumnProfile", "ColumnRoles", "Columns", "Cost", "DataFacts", "Examples",
    "Field", "FitCancelled", "FitContext", "Guess", "Improvement", "InputError", "Kind", "MeanMetric", "MediaKind",
    "Metric", "Model", "Prediction", "Predictor", "Product", "Proposal", "Reason", "Row", "RungError",
    "Schema", "ServiceClient", "Task", "build", "improve", "load", "plan", "serve",
]  # fmt: skip

_HOMES = {
    "Blob": ("rung.core.blobs", "Blob"),
    "Bound": ("rung.core.stats.confidence_bounds", "Bound"),
    "Build": ("rung.workflows.build", "Build"),
    "ColumnProfile": ("rung.core.task", "ColumnProfile"),
    "ColumnRoles": ("rung.core.task", "ColumnRoles"),
    "Columns": ("rung.core.types", "Columns"),
    "Cost": ("rung.core.model", "Cost"),
    "DataFacts": ("rung.core.model", "DataFacts"),
    "Examples": ("rung.core.types", "Examples"),
    "Field": ("rung.core.types", "Field"),
    "FitCancelled": ("rung.core.errors", "FitCancelled"),
    "FitContext": ("rung.core.model", "FitContext"),
    "Guess": ("rung.core.task", "Guess"),
    "Improvement": ("rung.workflows.improve", "Improvement"),
    "InputError": ("rung.core.errors", "InputError"),
    "Kind": ("rung.core.kind", "Kind"),
    "MeanMetric": ("rung.core.metrics.base", "MeanMetric"),
    "MediaKind": ("rung.core.kind", "MediaKind"),
    "Metric": ("rung.core.metrics.base", "Metric"),
    "Model": ("rung.core.model", "Model"),
    "Prediction": ("rung.core.types", "Prediction"),
    "Predictor": ("rung.serving.predictor", "Predictor"),
    "Product": ("rung.core.spec.product", "Product"),
    "Proposal": ("rung.building.proposal", "Proposal"),
    "Reason": ("rung.core.model", "Reason"),
    "Row": ("rung.core.types", "Row"),
    "RungError": ("rung.core.errors", "RungError"),
    "Schema": ("rung.core.types", "Schema"),
    "ServiceClient": ("rung.runtime.service.client", "ServiceClient"),
    "Task": ("rung.core.task", "Task"),
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


__version__ = "0.2.0"
