"""The fits of one rung: jobs that go to the engine together, what they report, and what they leave until it is tried."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rung.building.fit import FitJob, fit
from rung.core import registry
from rung.core.activity import doing
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
    stop: threading.Event | None = None,
) -> Iterator[Fitted]:
    """Yield the model fitted on each of these rows of the training set (None: all), in order, from one map call.

    named: what each fit is called, and its rows. ask: places of rows that each model answers; metering: where it charges.
    stop: of fits in the background: ends them.
    """
    home, everything = _scratch(setup, rung), RowsHandle.of(setup.data, "train")

    def jobs() -> Iterator[FitJob]:
        for name, places in named:
            rows = everything if places is None else everything.take(places)
            count = len(places) if places is not None else setup.data.facts["train"]
            channel = JobChannel(home, name, setup.deadline)
            context = replace(setup.context, scratch=home / name / "checkpoints", channel=channel)
            setup.run.event("fit_ahead" if stop else "fit", rung=rung.name, rows=count)
            yield FitJob(
                rung.model, rung.params, rows, context, home / name / "fit", tuple(ask), metering,
                metering_of(setup, rung, "fit"), setup.fresh_embeddings,
            )  # fmt: skip

    gpus = 1 if setup.context.device == "cuda" and rung.planned.gpu_seconds_per_1k else 0
    resources = Resources(setup.context.threads, round(rung.planned.memory_mb), gpus, rung.name, stop)
    fitted = setup.engine.map(fit, jobs(), resources)
    return fitted if stop else _said(fitted, rung)


def fold_names(parts: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[str, Sequence[int]]]:
    """Return the fits of held-out parts: what each is called, and the rows it learns from."""
    return [(f"fold-{number}", learn) for number, (learn, _) in enumerate(parts, 1)]


def _said(fitted: Iterator[Fitted], rung: Rung) -> Iterator[Fitted]:
    """Yield the models, and say what is waited for: fits of other processes cannot say it here."""
    with closing(fitted) if isinstance(fitted, Generator) else nullcontext():
        while True:
            with doing("fit", name=rung.model):
                one = next(fitted, None)
            if one is None:
                return
            yield one


def loaded(
    setup: BuildSetup, rung: Rung, schema: Schema, named: Sequence[tuple[str, Sequence[int]]]
) -> Iterator[tuple[Model, Path]]:
    """Yield each fitted model as it is loaded from its folder, and the folder."""
    family = registry.model(rung.model)
    for fitted in fits(setup, rung, named):
        yield family.load(fitted.folder, schema), fitted.folder
