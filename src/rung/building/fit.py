"""Fit one rung: the plain function that an engine runs here or elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rung.core import registry
from rung.core.model import FitContext, Model
from rung.core.types import Examples


@dataclass(frozen=True)
class FitJob:
    """What to fit on which rows."""

    model: str
    params: Any
    examples: Examples
    context: FitContext


@dataclass(frozen=True)
class Fitted:
    """The model and what its fit took. cpu_seconds: over all threads."""

    model: Model
    seconds: float
    cpu_seconds: float


def fit(job: FitJob) -> Fitted:
    """Return the family fitted on the job's rows; raises MissingExtra when its packages are absent."""
    family = registry.model(job.model)
    family.require()
    begun, cpu = time.perf_counter(), time.process_time()
    model = family.fit(job.examples, job.params, job.context)
    return Fitted(model, time.perf_counter() - begun, time.process_time() - cpu)
