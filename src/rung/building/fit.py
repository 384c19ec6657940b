"""Fit one rung: the plain function that an engine runs here or in another process."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rung.core import registry
from rung.core.activity import doing
from rung.core.answers import answer_from_json, answer_to_json
from rung.core.files import read_json, whole_folder, write_json
from rung.core.folds import assign_folds
from rung.core.model import FitContext, Fitted
from rung.core.types import Examples
from rung.data.prepare.rows import RowsHandle
from rung.runtime.embeddings.settings import embedding_cache_settings, use_embedding_cache
from rung.runtime.service.ledger import Ledger
from rung.runtime.service.metered import MeteredModel, Metering
from rung.runtime.service.settings import count_service_calls
from rung.runtime.weights.store import cache_folder

_MODEL, _FACTS, _ANSWERS = "model", "fitted.json", "answers.jsonl"


@dataclass(frozen=True)
class FitJob:
    """What to fit on which rows, and where the fitted model goes.

    out: a folder that is made; one that a killed build left whole is used again. ask: places of rows that the fitted
    model answers before it is gone: what a packed copy of it is held against. metering: for a model that charges.
    services: where calls that the fit itself makes are kept and counted. fresh_embeddings: as in `EmbeddingSettings.fresh`.
    """

    model: str
    params: Any
    rows: RowsHandle
    context: FitContext
    out: Path
    ask: tuple[int, ...] = ()
    metering: Metering | None = None
    services: Metering | None = None
    fresh_embeddings: Path | None = None


def fit(job: FitJob) -> Fitted:
    """Return the folder of the family fitted on the job's rows; raises MissingExtra when its packages are absent."""
    identity = _identity(job)
    if not _is_whole(job.out, identity):
        family = registry.model(job.model)
        family.require()
        examples = job.rows.load()
        asked = examples.take(job.ask)
        if job.context.scratch is not None:
            job.context.scratch.mkdir(parents=True, exist_ok=True)
        learn, context = split_validation(examples, job.context, family.VALIDATION_SHARE)
        with ExitStack() as stack:
            if embedding_cache_settings() is None:  # In a process that the build did not begin in.
                kept = cache_folder() / "embeddings"
                stack.enter_context(use_embedding_cache(kept, context.threads, job.fresh_embeddings))
            begun, cpu = time.perf_counter(), time.process_time()
            with _counted(job.services), doing("fit", name=job.model):
                model = family.fit(learn, job.params, context)
            seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
            free = job.ask and job.metering is None
            answers = model.predict(asked.inputs) if free else []
        with whole_folder(job.out) as folder:
            (folder / _MODEL).mkdir()
            model.save(folder / _MODEL)
            if job.metering is not None:
                answers = MeteredModel(model, folder / _MODEL, job.metering).predict(asked.inputs)
            lines = "".join(answer_to_json(answer) + "\n" for answer in answers)
            (folder / _ANSWERS).write_text(lines, encoding="utf-8")
            facts = {
                "identity": identity, "seconds": seconds, "cpu_seconds": cpu, "chosen": dict(model.chosen),
                "assumptions": model.assumptions, "children": dict(model.children),
                "training": {name: list(values) for name, values in model.training.items()},
            }  # fmt: skip
            write_json(folder / _FACTS, facts)
    return _read(job.out)


def _counted(services: Metering | None) -> AbstractContextManager[None]:
    if services is None:
        return nullcontext()
    return count_service_calls(services.cache, Ledger(services.ledger, services.limit_usd, services.rung))


def _read(out: Path) -> Fitted:
    """Return what a whole folder holds."""
    facts = read_json(out / _FACTS)
    facts.pop("identity")
    with (out / _ANSWERS).open(encoding="utf-8") as lines:
        answers = tuple(answer_from_json(line) for line in lines)
    return Fitted(folder=out / _MODEL, answers=answers, **facts)


def _identity(job: FitJob) -> str:
    """Return what must be the same for a fit that was kept to stand for this one; the data is the run folder's."""
    context = job.context
    rows = "all" if job.rows.places is None else f"{len(job.rows.places)}:{int(job.rows.places.sum())}"
    settings = (context.seed, context.effort, context.goal, context.device)
    return repr((job.model, job.params, job.rows.table, rows, settings, len(job.ask), sum(job.ask)))


def _is_whole(out: Path, identity: str) -> bool:
    facts = out / _FACTS
    return facts.is_file() and read_json(facts)["identity"] == identity


def split_validation(examples: Examples, context: FitContext, share: float) -> tuple[Examples, FitContext]:
    """Return the rows to learn from, and the context with those held out for early stopping.

    Rows of a unit stay together; with a time column the latest rows are held out.
    """
    if not 0.0 < share < 1.0 or len(examples) < 2:
        return examples, context
    count = max(round(1.0 / share), 2)
    if len(set(examples.times)) > 1:
        order = np.argsort(np.asarray(examples.times), kind="stable")
        held = order[len(order) - max(len(order) // count, 1) :]
    else:
        part = assign_folds(count, examples.units, [str(target) for target in examples.targets])
        held = np.flatnonzero(part == 0)
    kept = np.setdiff1d(np.arange(len(examples)), held)
    return examples.take(kept.tolist()), replace(context, validation=examples.take(held.tolist()))
