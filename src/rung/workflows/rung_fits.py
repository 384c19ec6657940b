"""The fits of one rung: jobs that go to the engine together, what they report, and what they leave until it is tried."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rung.building.fit import FitJob, fit
from rung.core import registry
from rung.core.engine import Resources
from rung.core.job_channel import JobChannel, follow
from rung.core.model import Fitted, Model, Rung
from rung.core.run import Run
from rung.core.types import Schema
from rung.data.prepare.rows import RowsHandle
from rung.runtime.service.metered import Metering
from rung.workflows.build_setup import BuildSetup
from rung.workflows.metering import metering_of

# Below the run folder: what fits leave until the trial of their rung is whole.
_SCRATCH = "scratch"


def clear_scratch(setup: BuildSetup, rung: Rung) -> None:
    """Delete what the fits of a rung left, once nothing can need it any more."""
    home = _scratch(setup, rung)
    shutil.rmtree(home, ignore_errors=True)
    with suppress(OSError):  # Other rungs have left something.
        home.parent.rmdir()


@contextmanager
def reporting(setup: BuildSetup, rung: Rung) -> Iterator[None]:
    """Turn what running fits of a rung report into events of the run."""
    with follow(_scratch(setup, rung), partial(_tell, setup.run, rung.name)):
        yield


def _tell(run: Run, rung: str, progress: dict[str, Any]) -> None:
    run.event("progress", rung=rung, **progress)


def _scratch(setup: BuildSetup, rung: Rung) -> Path:
    return setup.run.folder.resolve() / _SCRATCH / rung.name


def fits(
    setup: BuildSetup,
    rung: Rung,
    named: Sequence[tuple[str, Sequence[int] | None]],
    ask: Sequence[int] = (),
    metering: Metering | None = None,
) -> Iterator[Fitted]:
    """Yield the model fitted on each of these rows of the training set (None: all), in order, from one map call.

    named: what each fit is called, and its rows. ask: places of rows that each model answers; metering: where it charges.
    """
    home, everything = _scratch(setup, rung), RowsHandle.of(setup.data, "train")

    def jobs() -> Iterator[FitJob]:
        for name, places in named:
            rows = everything if places is None else everything.take(places)
            count = len(places) if places is not None else setup.data.facts["train"]
            channel = JobChannel(home, name, setup.deadline)
            context = replace(setup.context, scratch=home / name / "checkpoints", channel=channel)
            setup.run.event("fit", rung=rung.name, rows=count)
            yield FitJob(
                rung.model, rung.params, rows, context, home / name / "fit", tuple(ask), metering,
                metering_of(setup, rung, "fit"), setup.fresh_embeddings,
            )  # fmt: skip

    gpus = 1 if setup.context.device == "cuda" and rung.planned.gpu_seconds_per_1k else 0
    resources = Resources(setup.context.threads, round(rung.planned.memory_mb), gpus)
    return setup.engine.map(fit, jobs(), resources)


def loaded(
    setup: BuildSetup, rung: Rung, schema: Schema, named: Sequence[tuple[str, Sequence[int]]]
) -> Iterator[tuple[Model, Path]]:
    """Yield each fitted model as it is loaded from its folder, and the folder."""
    family = registry.model(rung.model)
    for fitted in fits(setup, rung, named):
        yield family.load(fitted.folder, schema), fitted.folder
