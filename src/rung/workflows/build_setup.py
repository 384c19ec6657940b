"""What every step of one build needs to know, and the rows it works on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.building.certify import Requirement
from rung.core.certificate_lock import CertificateLock
from rung.core.engine import Engine
from rung.core.model import FitContext
from rung.core.prices import Prices
from rung.core.run import Run
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Dataset, Examples
from rung.improvement.input_copies import EMBEDDINGS


@dataclass(frozen=True)
class BuildSetup:
    """What every step of one build needs to know. deadline: Unix time from which fits count as cancelled.

    findings: of the data checks, as the report has them.
    """

    product: Product
    task: Task
    run: Run
    lock: CertificateLock
    prices: Prices
    context: FitContext
    engine: Engine
    data: Dataset
    fingerprint: str
    deadline: float = math.inf
    findings: Sequence[Mapping[str, Any]] = ()

    @property
    def fresh_embeddings(self) -> Path | None:
        """Return what `fresh_embeddings` returns for this build."""
        return fresh_embeddings(self.product, self.run)

    @property
    def learned_until(self) -> float | None:
        """Return the time up to which a journal may have taught this build (Unix time); None where it learns from none."""
        joined = self.product.joined
        return None if joined is None else (self.context.base / joined.feedback).stat().st_mtime


def fresh_embeddings(product: Product, run: Run) -> Path | None:
    """Return where embeddings go that must not outlive the run: those of a build that learns from a journal."""
    return run.folder.resolve() / EMBEDDINGS if product.joined is not None else None


@dataclass(frozen=True)
class TrialRows:
    """The rows of a build, and what is asked of a rung on them."""

    train: Examples
    certification: Examples
    requirements: Sequence[Requirement]
