"""Students: a smaller family fitted on the rows, and on rows without labels that the larger model answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.params import make_params
from rung.core.types import Examples
from rung.training.compression.recipe import Make, Source


def student(family: str, params: Mapping[str, Any]) -> Make:
    """Return the recipe that fits another family, or the same with other parameters."""
    return partial(_fit, family=family, params=dict(params))


def _fit(source: Source, folder: Path, family: str, params: Mapping[str, Any]) -> str:
    fit_student(source, family, params).save(folder)
    return family


def fit_student(source: Source, family: str, params: Mapping[str, Any]) -> Any:
    """Return a student fitted on the rows, and on the unlabelled rows with the source's answers."""
    kind = registry.model(family)
    kind.require()
    return kind.fit(taught(source), make_params(kind.Params, dict(params)), source.context)


def taught(source: Source) -> Examples:
    """Return the rows with the labels that people gave, and the unlabelled rows with the source's answers.

    An answer that the source abstained from teaches nothing.
    """
    learn, inputs = source.learn, source.unlabelled
    if not inputs:
        return learn
    answers = source.load().predict(inputs)
    kept = [place for place, answer in enumerate(answers) if not answer.abstained]
    count = len(kept)
    more = Examples(
        learn.schema,
        {name: [column[place] for place in kept] for name, column in inputs.items()},
        [answers[place].value for place in kept],
        [f"unlabelled-{place}" for place in kept],
        list(range(count)), [0.0] * count,
        [""] * count if learn.files else (), [1] * count if learn.copies else (), [0.0] * count if learn.starts else (),
    )  # fmt: skip
    return learn.join(more)
