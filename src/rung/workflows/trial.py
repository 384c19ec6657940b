"""The trial of one rung: scored on held-out rows, fitted on all, packed, loaded in a fresh process, measured."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rung.building import certify, diagnostics, drift_reference, evaluate, export_gate, pack
from rung.building.certify import Requirement
from rung.building.explain import Explanations
from rung.building.fit import FitJob, fit
from rung.building.importance import Importance
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.engine import Engine, Resources
from rung.core.errors import RunError
from rung.core.folds import ONE_PART_SECONDS
from rung.core.job_channel import JobChannel, follow
from rung.core.messages import join_sentences
from rung.core.metrics.base import Metric
from rung.core.metrics.scored import sampling_of
from rung.core.model import FitContext, Fitted, Model, Rung
from rung.core.prices import Prices
from rung.core.run import Run
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Dataset, Examples, Prediction
from rung.data.prepare.rows import RowsHandle
from rung.serving.subprocess_predict import SubprocessResult, predict_in_subprocess

# Rows of the training set that time the packed bundle and hold it against the fitted model: as many as are planned to
# take so many seconds, within these bounds.
_FEWEST_GATE_ROWS, _GATE_ROWS, _GATE_SECONDS = 100, 300, 2.0
_VARIES = (
    "The model's answers vary: each row was answered once, and the claim is of answers drawn as those were."
)
# Below the run folder: what fits leave until the trial of their rung is whole.
_SCRATCH = "scratch"


@dataclass(frozen=True)
class BuildSetup:
    """What every step of one build needs to know. deadline: Unix time from which fits count as cancelled."""

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


@dataclass(frozen=True)
class TrialRows:
    """The rows of a build, and what is asked of a rung on them."""

    train: Examples
    certification: Examples
    requirements: Sequence[Requirement]


def run_trial(setup: BuildSetup, rung: Rung, rows: TrialRows, folder: Path) -> dict[str, Any]:
    """Return the trial of one rung; its packed bundle lies in the folder."""
    train, requirements = rows.train, rows.requirements
    each = rung.planned.cpu_seconds_per_1k / 1000
    held_out = held_out_rows(rung, train)
    why, gain = Explanations(each, len(held_out.parts)), Importance(requirements[0].metric, each)
    folds = [(f"fold-{number}", learn) for number, (learn, _) in enumerate(held_out.parts, 1)]
    with reporting(setup, rung):
        evaluation = evaluate.evaluate(train, held_out, _loaded(setup, rung, train, folds), why, gain)
        if setup.data.facts.get("audit"):
            evaluation = evaluate.among(evaluation, setup.data.facts["audit"]["random_units"])
        selftest, gate = pack.selftest_places(len(train)), _gate_places(len(train), each)
        asked = sorted({*selftest, *gate})
        (fitted,) = _fits(setup, rung, [("all", None)], asked)
    answer = dict(zip(asked, fitted.answers, strict=True))
    bundle = folder / "bundle"
    drift_reference.place(bundle, setup.run.folder / "reference", train.schema, evaluation)
    shown = {key: setup.data.facts[key] for key in ("rows", "train", "certification")}
    manifest = pack.pack(
        bundle, setup.product, setup.task, (rung.name, rung.model), fitted,
        (train.take(selftest), [answer[place] for place in selftest]), shown | {"fingerprint": setup.fingerprint},
    )  # fmt: skip
    fresh = predict_in_subprocess(bundle, train.take(gate).records(), measure=True)
    return {
        "rung": rung.name,
        "model": rung.model,
        "is_floor": rung.model == setup.task.floor,
        "version": manifest.version,
        **_quality(setup, rows, evaluation),
        "fit_seconds": round(fitted.seconds, 3),
        **_measured(setup, rung, fresh, evaluation.answers),
        "size_mb": pack.size_mb(bundle),
        "differing": _differing(setup, rung, rows, (gate, [answer[place] for place in gate], fresh.answers)),
        "chosen": dict(fitted.chosen),
        "why": why.as_dict(),
        "importance": gain.as_dict(),
        "over_limits": [],
        "assumptions": join_sentences(
            "en", fitted.assumptions, _VARIES if _is_stochastic(setup, rung) else ""
        ),
    }


def _is_stochastic(setup: BuildSetup, rung: Rung) -> bool:
    return setup.task.is_stochastic or registry.model(rung.model).is_stochastic


def _differing(
    setup: BuildSetup,
    rung: Rung,
    rows: TrialRows,
    answered: tuple[Sequence[int], Sequence[Prediction], Sequence[Prediction]],
) -> int:
    """Return how many answers of the packed model are not the fitted one's; all of them where only scores can tell.

    answered: places of the rows, and what the fitted and the packed model answered.
    """
    places, fitted, packed = answered
    if not _is_stochastic(setup, rung):
        return export_gate.differing(setup.task, fitted, packed)
    metric = rows.requirements[0].metric
    worse = export_gate.scores_differ(metric, rows.train.take(places), fitted, packed)
    return len(places) if worse else 0


def study(setup: BuildSetup, rung: Rung, trial: Mapping[str, Any], rows: TrialRows) -> dict[str, Any]:
    """Return what the report shows of the winner beyond its scores; the learning curve is a few small fits."""
    train, metric = rows.train, rows.requirements[0].metric

    def curve(folder: Path) -> dict[str, Any]:
        if time.time() + trial["fit_seconds"] > setup.deadline:
            return {"skipped": "time"}
        if rung.planned.refit_seconds > ONE_PART_SECONDS:
            return {"skipped": "cost"}
        random = (setup.data.facts.get("audit") or {}).get("random_units")
        learn, test = evaluate.first_fold(train, held_out_rows(rung, train), random)

        def fit_parts(parts: Sequence[Sequence[int]]) -> Iterator[Model]:
            named = [(f"curve-{i}", [learn[place] for place in part]) for i, part in enumerate(parts, 1)]
            return _loaded(setup, rung, train, named)

        try:
            with reporting(setup, rung):
                return diagnostics.learning_curve(
                    train.take(learn), train.take(test), metric, trial["fold_score"], fit_parts
                )
        except RunError:
            raise
        except Exception as error:  # The winner stands without a curve.
            return {"skipped": "failed", "problem": repr(error)}

    _, found = setup.run.step(f"studies/{rung.name}", curve)
    clear_scratch(setup, rung)
    return {**{key: trial.get(key) for key in ("reliability", "why", "importance")}, "curve": found}


def held_out_rows(rung: Rung, train: Examples) -> evaluate.HeldOut:
    """Return which training rows are held out of which fit of a rung."""
    return evaluate.folds(train, rung.planned.refit_seconds)


def clear_scratch(setup: BuildSetup, rung: Rung) -> None:
    """Delete what the fits of a rung left, once nothing can need it any more."""
    shutil.rmtree(_scratch(setup, rung), ignore_errors=True)


@contextmanager
def reporting(setup: BuildSetup, rung: Rung) -> Iterator[None]:
    """Turn what running fits of a rung report into events of the run."""
    with follow(_scratch(setup, rung), partial(_tell, setup.run, rung.name)):
        yield


def _tell(run: Run, rung: str, progress: dict[str, Any]) -> None:
    run.event("progress", rung=rung, **progress)


def _scratch(setup: BuildSetup, rung: Rung) -> Path:
    return setup.run.folder.resolve() / _SCRATCH / rung.name


def _fits(
    setup: BuildSetup, rung: Rung, named: Sequence[tuple[str, Sequence[int] | None]], ask: Sequence[int] = ()
) -> Iterator[Fitted]:
    """Yield the model fitted on each of these rows of the training set (None: all), in order, from one map call.

    ask: places of rows that each model answers.
    """
    home, everything = _scratch(setup, rung), RowsHandle.of(setup.data, "train")

    def jobs() -> Iterator[FitJob]:
        for name, places in named:
            rows = everything if places is None else everything.take(places)
            count = len(places) if places is not None else setup.data.facts["train"]
            channel = JobChannel(home, name, setup.deadline)
            context = replace(setup.context, scratch=home / name / "checkpoints", channel=channel)
            setup.run.event("fit", rung=rung.name, rows=count)
            yield FitJob(rung.model, rung.params, rows, context, home / name / "fit", tuple(ask))

    gpus = 1 if setup.context.device == "cuda" and rung.planned.gpu_seconds_per_1k else 0
    resources = Resources(setup.context.threads, round(rung.planned.memory_mb), gpus)
    return setup.engine.map(fit, jobs(), resources)


def _loaded(
    setup: BuildSetup, rung: Rung, train: Examples, named: Sequence[tuple[str, Sequence[int]]]
) -> Iterator[Model]:
    """Yield each fitted model as it is loaded from its folder."""
    family = registry.model(rung.model)
    for fitted in _fits(setup, rung, named):
        yield family.load(fitted.folder, train.schema)


def _gate_places(rows: int, seconds_per_answer: float) -> list[int]:
    """Return which training rows the packed bundle is timed on and held against the fitted model."""
    count = int(min(max(_GATE_SECONDS / max(seconds_per_answer, 1e-9), _FEWEST_GATE_ROWS), _GATE_ROWS))
    return list(range(0, rows, max(rows // count, 1)))[:count]


def _quality(setup: BuildSetup, rows: TrialRows, evaluation: evaluate.Evaluation) -> dict[str, Any]:
    """Return what the held-out training rows say of a rung."""
    train, requirements = rows.train, rows.requirements
    metrics: dict[str, Metric] = {
        m.name: m for m in [*setup.task.metrics(train.schema), *(r.metric for r in requirements)]
    }
    units = len(set(rows.certification.units))
    alpha = certify.next_alpha(rows.certification.units, setup.lock, setup.product.confidence)
    sampling = sampling_of(setup.data.facts["split"])
    expected = [
        evaluate.predicted_bound(evaluation, r.metric, train, units, alpha, sampling).value if units else None
        for r in requirements
    ]
    first = requirements[0].metric
    return {
        "scores": evaluate.scores(evaluation, list(metrics.values()), train),
        "method": evaluation.method,
        "held_out": dict(evaluation.held_out),
        "fold_score": round(evaluate.first_fold_score(evaluation, first, train), 5),
        "interval": evaluate.interval(evaluation, first, train, setup.product.confidence),
        "predicted_bounds": [None if bound is None else round(bound, 5) for bound in expected],
        "details": evaluate.details(evaluation, setup.task, train),
        "reliability": diagnostics.reliability(evaluation.truths, evaluation.answers, [*metrics.values()]),
    }


def _measured(
    setup: BuildSetup, rung: Rung, fresh: SubprocessResult, answers: Sequence[Prediction]
) -> dict[str, Any]:
    """Return what the packed bundle takes in time, memory, money and energy. answers: as charged, to held-out rows."""
    # A model that answers on a GPU holds it for as long as it answers: milliseconds a row are seconds a thousand.
    gpu_seconds = fresh.measured["latency_ms"]["p50"] if rung.planned.gpu_seconds_per_1k else 0.0
    price = {
        "cpu": round(setup.prices.usd(fresh.cpu_per_1k), 9),
        "gpu": round(setup.prices.usd(0.0, gpu_seconds), 9),
        "service": round(1000 * math.fsum(a.cost for a in answers) / max(len(answers), 1), 9),
    }
    return {
        **{key: fresh.measured[key] for key in ("latency_ms", "throughput_per_s", "peak_memory_mb")},
        "usd_per_1k": round(math.fsum(price.values()), 9),
        "price": price,
        "wh_per_1k": round(setup.prices.wh(fresh.cpu_per_1k), 9),
        "planned_usd_per_1k": round(rung.usd_per_1k, 9),
        "measured": fresh.measured,
    }
