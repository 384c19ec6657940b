"""The whole product on one page: prepare, plan, climb, certify, ship.

Stages are called from here alone and know nothing of each other. Each takes values and returns a new one; the
run folder keeps what is whole, so the same call goes on after a crash where the last one stopped.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rung.building import certify, diagnostics, drift_reference, evaluate, pack, report
from rung.building.certify import Requirement
from rung.building.costs import costs
from rung.building.explain import Explanations
from rung.building.fit import FitJob, Fitted, fit
from rung.building.importance import Importance
from rung.building.ladder import check_costs, check_rules, fit_context, ladder
from rung.building.proposal import ladder_dicts
from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.engine import Engine, Resources
from rung.core.files import read_json, whole_folder, write_json, write_text
from rung.core.manifest import NAME as MANIFEST
from rung.core.messages import language, say, sentences
from rung.core.metrics.base import Metric
from rung.core.model import DataFacts, FitContext, Rung
from rung.core.prices import Prices, load_prices
from rung.core.run import Listener, Run, choose_folder, open_run
from rung.core.spec.product import Located, Product, load_product, naming_lines
from rung.core.task import Task
from rung.core.types import Dataset, Examples
from rung.data.checks import run_checks
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.fingerprint import fingerprint_data
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import dataset_from, prepare_once
from rung.data.profile.view import View
from rung.engines.local import LocalEngine
from rung.pages.report import render
from rung.runtime.embeddings.settings import use_embedding_cache
from rung.runtime.weights.store import cache_folder
from rung.serving.subprocess_predict import predict_in_subprocess
from rung.tracking.follow import TrackingListener

# Rows of the training set that time the packed bundle and hold it against the fitted model: as many as are planned to
# take so many seconds, within these bounds.
_FEWEST_GATE_ROWS, _GATE_ROWS, _GATE_SECONDS = 100, 300, 2.0
# Rows that a report shows of each finding.
_EVIDENCE = 5
# Training rows whose text a plan may read, to tell their language.
_SAMPLE_ROWS = 200


@dataclass(frozen=True)
class Build:
    """What a build left: its run folder, the bundle that ships, and the report as a value."""

    folder: Path
    bundle: Path
    report: Mapping[str, Any]

    @property
    def cleared(self) -> bool:
        """Return whether a rung was certified to clear the bar."""
        return bool(self.report["cleared"])


@dataclass(frozen=True)
class _Job:
    """What every step of one build needs to know."""

    product: Product
    task: Task
    run: Run
    lock: CertificateLock
    prices: Prices
    context: FitContext
    engine: Engine
    data: Dataset
    fingerprint: str


def build(
    product: Product | Located | str | Path,
    *,
    run: str | Path | None = None,
    all_rungs: bool = False,
    on_event: Listener | None = None,
    engine: Engine | None = None,
    lang: str | None = None,
    track: Sequence[str] = (),
) -> Build:
    """Return the cheapest rung certified to clear the product's bar, packed; or the best, marked uncertified.

    product: a Product, one with its folder, or the path of a product.yaml. run: the run folder; by default runs/<name>-NNN beside
    product.yaml, resuming an unfinished one. all_rungs: also measure the rungs above the winner. lang: of
    report.html, en or zh; by default the system's. track: where else to write it down while it runs, `mlflow:URI` or
    `tensorboard:DIR`. Raises RungError for every mistake of the user's.
    """
    with TrackingListener(track, on_event) as listener:
        return _build(product, run, all_rungs, listener, engine, language(lang))


def _build(
    product: Product | Located | str | Path,
    run: str | Path | None,
    all_rungs: bool,
    on_event: Listener,
    engine: Engine | None,
    lang: str,
) -> Build:
    """Do the work of `build`."""
    base, file = Path.cwd(), None
    if isinstance(product, Located):
        product, base = product
    elif not isinstance(product, Product):
        file = Path(product)
        product, base = load_product(file)
    task = registry.task(product.task)
    with naming_lines(file):
        check_costs(product, task)
    product = with_inputs(product, base, task)
    now = fingerprint_data(product, base)
    fingerprint = f"{product.fingerprint()}-{now}"
    folder = Path(run) if run else choose_folder(base / "runs", product.name, fingerprint)
    spec = json.dumps(product.shown(), ensure_ascii=False, indent=1)
    place = open_run(folder, product.name, fingerprint, spec, on_event)
    lock = CertificateLock(base / "certificate.lock")
    prices = load_prices(base / product.prices if product.prices else None)
    with place.building(), naming_lines(file):
        place.event("run", folder=str(folder), product=product.name)
        where, facts = place.step("data", partial(prepare_once, product, base, task, lock, now))
        data = dataset_from(where, facts)
        place.event(
            "data",
            rows=facts["rows"],
            train=facts["train"],
            certification=facts["certification"],
            quarantined=facts["quarantined"],
        )
        _, checked = place.step("checks", lambda _: _check(View(product, base, data)))
        place.event("findings", **checked)
        threads = product.budget.threads or os.cpu_count() or 1
        minutes = product.budget.minutes
        context = fit_context(product, threads, base, minutes * 60 if minutes else None)
        job = _Job(product, task, place, lock, prices, context, engine or LocalEngine(), data, fingerprint)
        with use_embedding_cache(cache_folder() / "embeddings", threads):
            found = _climb(job, all_rungs)
        bundle = _ship(job, found)
        written = report.report(
            product, facts | checked, found, prices.notes, report.machine(threads, task.title)
        )
        write_text(folder / "report.html", render(written, lang))
        write_json(folder / "report.json", written)
        place.event("done", cleared=found.cleared, winner=found.winner, bundle=str(bundle))
    return Build(folder, bundle, written)


def _check(view: View) -> dict[str, Any]:
    """Return what the cheap checks found; report and terminal show a few rows of each."""
    return {"findings": [finding.as_dict(_EVIDENCE) for finding in run_checks(view)]}


def _climb(job: _Job, all_rungs: bool) -> report.Findings:
    """Try the rungs, cheapest first, until one is certified; what no rung clears, the best one answers for."""
    product, facts = job.product, job.data.facts
    train = read_examples(job.data, "train")
    certification = read_examples(job.data, "certification")
    requirements = [Requirement(c, job.task.metric(c.metric, job.data.schema)) for c in product.bar]
    spread = train.take(range(0, len(train), max(len(train) // _SAMPLE_ROWS, 1)))
    sample = tuple(job.task.dedup_key(row) for row in spread.records())
    labels = max(len(job.data.schema.labels), 1)
    size = DataFacts(len(train), labels, facts["chars_per_row"], sample, facts["repeated"])
    check_rules(product, job.data.schema.labels)
    planned = ladder(product, job.task.floor, size, job.prices, job.context)
    job.run.event("ladder", rungs=ladder_dicts(planned.rungs))
    for name, reason in planned.left_out.items():
        job.run.event("skipped", rung=name, why=f"{reason.problem.rstrip('.')}. {reason.fix}".strip())
    job.run.step("reference", partial(drift_reference.learn, train, product.seed, facts))
    trials: list[dict[str, Any]] = []
    winner: str | None = None
    certificate: dict[str, Any] | None = None
    begun = time.monotonic()
    for rung in planned.rungs:
        late = product.budget.minutes is not None and time.monotonic() - begun > product.budget.minutes * 60
        if trials and (late or (winner and not all_rungs)):
            job.run.event(
                "skipped",
                rung=rung.name,
                key="late" if late else "cheaper",
                why="the time budget is spent" if late else "a cheaper rung cleared the bar",
            )
            continue
        folder, trial = job.run.step(
            f"trials/{rung.name}", partial(_try, job, rung, train, certification, requirements)
        )
        trial = dict(trial)
        if winner is None:
            status, certificate = _judge(job, trial, folder / "bundle", certification, requirements)
            trial["status"] = status
            winner = rung.name if status == "cleared" else None
        else:
            trial["status"] = "not needed"
        trials.append(trial)
        job.run.event(
            "trial", **{key: trial[key] for key in ("rung", "status", "scores", "usd_per_1k", "fit_seconds")}
        )
    cleared = winner is not None and certificate is not None
    best = winner or evaluate.best(
        trials, requirements[0].metric.name, requirements[0].condition.higher_is_better
    )
    shipped = next((t for t in trials if t["rung"] == best), None)
    if shipped is None:
        return report.Findings(trials, None, certificate, cleared)
    rung = next(r for r in planned.rungs if r.name == best)
    studied = _study(job, rung, shipped, train, requirements[0].metric, begun)
    priced = costs(job.prices, sample, shipped["usd_per_1k"], shipped["wh_per_1k"])
    return report.Findings(trials, best, certificate, cleared, studied, priced)


def _study(
    job: _Job, rung: Rung, trial: Mapping[str, Any], train: Examples, metric: Metric, begun: float
) -> dict[str, Any]:
    """Return what the report shows of the winner beyond its scores; the learning curve is a few small fits."""

    def curve(folder: Path) -> dict[str, Any]:
        minutes = job.product.budget.minutes
        if minutes is not None and time.monotonic() - begun + trial["fit_seconds"] > minutes * 60:
            return {"skipped": "time"}
        random = (job.data.facts.get("audit") or {}).get("random_units")
        learn, test = (train.take(rows) for rows in evaluate.first_fold(train, random))
        return diagnostics.learning_curve(
            learn, test, metric, trial["fold_score"], lambda rows: _fit(job, rung, rows).model
        )

    _, found = job.run.step(f"studies/{rung.name}", curve)
    kept = {key: trial.get(key) for key in ("reliability", "why", "importance")}
    return {**kept, "curve": found}


def _fit(job: _Job, rung: Rung, examples: Examples) -> Fitted:
    job.run.event("fit", rung=rung.name, rows=len(examples))
    jobs = [FitJob(rung.model, rung.params, examples, job.context)]
    return next(iter(job.engine.map(fit, jobs, Resources(threads=job.context.threads))))


def _try(
    job: _Job,
    rung: Rung,
    train: Examples,
    certification: Examples,
    requirements: Sequence[Requirement],
    folder: Path,
) -> dict[str, Any]:
    """Return the trial of one rung: scored on held-out training rows, fitted on all, packed, reloaded, measured."""
    each = rung.planned.cpu_seconds_per_1k / 1000
    why, gain = Explanations(each, evaluate.count_folds(train)), Importance(requirements[0].metric, each)
    evaluation = evaluate.evaluate(rung.model, train, lambda rows: _fit(job, rung, rows).model, why, gain)
    if job.data.facts.get("audit"):
        evaluation = evaluate.among(evaluation, job.data.facts["audit"]["random_units"])
    metrics = {m.name: m for m in [*job.task.metrics(train.schema), *(r.metric for r in requirements)]}
    units = len(set(certification.units))
    alpha = certify.next_alpha(certification.units, job.lock, job.product.confidence)
    expected = [
        evaluate.predicted_bound(evaluation, r.metric, train, units, alpha).value if units else None
        for r in requirements
    ]
    fitted = _fit(job, rung, train)
    bundle = folder / "bundle"
    drift_reference.place(bundle, job.run.folder / "reference", train.schema, evaluation)
    shown = {key: job.data.facts[key] for key in ("rows", "train", "certification")} | {
        "fingerprint": job.fingerprint
    }
    manifest = pack.pack(bundle, job.product, job.task, (rung.name, rung.model), fitted.model, train, shown)
    gate = int(min(max(_GATE_SECONDS / max(each, 1e-9), _FEWEST_GATE_ROWS), _GATE_ROWS))
    sample = train.take(list(range(0, len(train), max(len(train) // gate, 1)))[:gate])
    fresh = predict_in_subprocess(bundle, sample.records(), measure=True)
    pairs = zip(fitted.model.predict(sample.inputs), fresh.answers, strict=True)
    differing = sum(not job.task.same(a, b) for a, b in pairs)
    return {
        "rung": rung.name,
        "model": rung.model,
        "is_floor": rung.model == job.task.floor,
        "version": manifest.version,
        "scores": evaluate.scores(evaluation, list(metrics.values()), train),
        "method": evaluation.method,
        "held_out": dict(evaluation.held_out),
        "fold_score": round(evaluate.first_fold_score(evaluation, requirements[0].metric, train), 5),
        "interval": evaluate.interval(evaluation, requirements[0].metric, train, job.product.confidence),
        "predicted_bounds": [None if bound is None else round(bound, 5) for bound in expected],
        "fit_seconds": round(fitted.seconds, 3),
        **{key: fresh.measured[key] for key in ("latency_ms", "throughput_per_s", "peak_memory_mb")},
        "size_mb": pack.size_mb(bundle),
        "usd_per_1k": round(job.prices.usd(fresh.cpu_per_1k), 9),
        "wh_per_1k": round(job.prices.wh(fresh.cpu_per_1k), 9),
        "planned_usd_per_1k": round(rung.usd_per_1k, 9),
        "measured": fresh.measured,
        "differing": differing,
        "chosen": dict(fitted.model.chosen),
        "details": evaluate.details(evaluation, job.task, train),
        "reliability": diagnostics.reliability(evaluation.truths, evaluation.answers, [*metrics.values()]),
        "why": why.as_dict(),
        "importance": gain.as_dict(),
        "over_limits": [],
        "premise": fitted.model.assumptions,
    }


def _judge(
    job: _Job,
    trial: dict[str, Any],
    bundle: Path,
    certification: Examples,
    requirements: Sequence[Requirement],
) -> tuple[str, dict[str, Any] | None]:
    """Return the status of a trial, and its certificate if it cleared. Only a rung expected to pass is looked at."""
    trial["over_limits"] = job.product.limits.broken_by(
        trial["latency_ms"]["p95"], trial["size_mb"], trial["peak_memory_mb"], trial["usd_per_1k"]
    )
    if trial["differing"]:
        return "broken export", None
    met = all(r.condition.met_by(trial["scores"][r.metric.name]) for r in requirements)
    if not met:
        return "below bar", None
    if trial["over_limits"]:
        return "over limit", None
    if not len(certification):
        # Without a certificate asked for, the estimate decides, and nothing is claimed; an unfinished audit is asked for.
        return ("not certified" if (job.data.facts.get("audit") or {}).get("wanted") else "cleared"), None
    # A look that was taken before costs nothing: the bundle gets its certificate again, however worn the rows are.
    known = certify.is_known(certification, trial["version"], requirements, job.product.confidence, job.lock)
    likely = all(r.condition.met_by(b) for r, b in zip(requirements, trial["predicted_bounds"], strict=True))
    if not (known or likely):
        return "not certified", None

    def look(folder: Path) -> dict[str, Any]:
        taken = certify.begin_look(
            certification, trial["version"], requirements, job.product.confidence, job.lock
        )
        answers = predict_in_subprocess(bundle, certification.records()).answers
        outcome = certify.certify(taken, requirements, certification, answers, job.lock)
        if not outcome.passed:
            return {"certificate": None}
        grouped = job.product.data.group is not None
        split = job.data.facts["split"]
        return {
            "certificate": certify.certificate(
                outcome, requirements, job.product.confidence, split, grouped, _assumptions(job, trial)
            )
        }

    _, facts = job.run.step(f"looks/{trial['rung']}", look)
    job.run.event(
        "certificate",
        rung=trial["rung"],
        passed=facts["certificate"] is not None,
        certificate=facts["certificate"],
    )
    return ("cleared", facts["certificate"]) if facts["certificate"] else ("failed certification", None)


def _assumptions(job: _Job, trial: Mapping[str, Any]) -> str:
    """Return what a certificate assumes: of the model, and of rows that people labelled."""
    audit = job.data.facts.get("audit")
    return sentences(
        "en", trial["premise"], say("label.premise", "en", n=audit["cannot_be_told"]) if audit else ""
    )


def _ship(job: _Job, found: report.Findings) -> Path:
    """Return the bundle folder, made from the winner's packed trial unless it stands there already."""
    bundle = job.run.folder / "bundle"
    version_wanted = next((t["version"] for t in found.trials if t["rung"] == found.winner), None)
    if found.winner is None:
        return bundle
    manifest = bundle / MANIFEST
    if manifest.is_file():
        there = read_json(manifest)
        if there.get("version") == version_wanted and there.get("certified") == (
            found.certificate is not None
        ):
            return bundle
    with whole_folder(bundle) as temporary:
        pack.finish(job.run.folder / "trials" / found.winner / "bundle", temporary, found.certificate)
    return bundle
