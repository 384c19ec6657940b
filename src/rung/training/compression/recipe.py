"""What a way to make a model smaller is given, and what it promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.model import FitContext, Model
from rung.core.types import Columns, Examples, Schema


@dataclass(frozen=True)
class Source:
    """A fitted model to start from, and what may be learned from.

    folder: as `Model.save` wrote it. learn: the rows it was fitted on, and no others. params: of the family of the run's
    winner. unlabelled: rows that nobody labelled, {} for none; none of them is a training or certification row.
    """

    family: str
    folder: Path
    schema: Schema
    learn: Examples
    params: Any
    context: FitContext
    unlabelled: Columns = field(default_factory=dict)

    def load(self) -> Model:
        """Return the model."""
        return registry.model(self.family).load(self.folder, self.schema)


# Writes a smaller model into an empty folder and returns its family.
Make = Callable[[Source, Path], str]


@dataclass(frozen=True)
class Recipe:
    """A way to make a model smaller.

    step: message below `compress.step` that names it, with its values. base: the recipe whose result it starts from; "": the
    winner. after: a milder recipe of its kind; where that one lost more than is allowed, this one is not tried.
    """

    name: str
    step: str
    make: Make
    values: Mapping[str, Any] = field(default_factory=dict)
    base: str = ""
    after: str = ""


def save(model: Model, folder: Path) -> None:
    """Write a model that was made smaller into an empty folder."""
    model.save(folder)
