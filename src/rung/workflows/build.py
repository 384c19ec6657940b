"""The whole product on one page: prepare, plan, climb, certify, ship.

Stages are called from here alone and know nothing of each other. Each takes values and returns a new one; the
run folder keeps what is whole, so the same call goes on after a crash where the last one stopped.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rung.building import drift_reference, evaluate, pack, report
from rung.building.advice import advice_items
from rung.building.certify import Requirement
from rung.building.climb_findings import Findings, unneeded, untried
from rung.building.costs import costs
from rung.building.ladder import check_costs, check_rules, fit_context, ladder
from rung.building.offer_weights import Ask, with_weights
from rung.building.proposal import ladder_dicts
from rung.core import registry
from rung.core.activity import doing
from rung.core.certificate_lock import CertificateLock
from rung.core.engine import Engine, Place
from rung.core.files import read_json, whole_folder, write_json, write_text
from rung.core.manifest import NAME as MANIFEST
from rung.core.messages import resolve_language
from rung.core.model import DataFacts, Ladder
from rung.core.prices import load_prices
from rung.core.run import Listener, Run, choose_folder, open_run
from rung.core.spec.product import Located, Product, load_product, locate_problems
from rung.core.types import Examples
from rung.core.unavailable import reason_dict, reason_text
from rung.data.checks import require_known_findings, run_checks
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.fingerprint import fingerprint_data
from rung.data.prepare.near_media import media_fields
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import dataset_from, prepare_once
from rung.data.prepare.rows import forget_table, read_table
from rung.data.prepare.side_tables import side_tables
from rung.data.profile.view import View
from rung.engines.choose import open_engine, running
from rung.modalities.text.ngram_cache import use_ngram_cache
from rung.pages.data_notes import NOTE_KEYS
from rung.pages.report import render
from rung.runtime.embeddings.settings import use_embedding_cache
from rung.runtime.weights.store import cache_folder
from rung.tracking.follow import TrackingListener
from rung.workflows.build_setup import BuildSetup, TrialRows, fresh_embeddings
from rung.workflows.cascade_proposal import cascade_proposal
from rung.workflows.check_spec import check_spec
from rung.workflows.climb import climb
from rung.workflows.trial import spent, study

# Rows that a report shows of each finding.
_EVIDENCE = 5
# Training rows whose text a plan may read, to tell their language.
_SAMPLE_ROWS = 200

# Below the run folder: what an engine writes while it runs.
ENGINE_FOLDER = "engine"

# What the event of read data says, and how it was read.
_SHOWN = ("rows", "train", "certification", "quarantined")


@dataclass(frozen=True)
class Build:
    """What a build left: its run folder, the bundle that ships, and the report as a value."""

    folder: Path
    bundle: Path
    report: Mapping[str, Any]

    def __repr__(self) -> str:
        verdict = f"{self.report['winner']}, {'certified' if self.cleared else 'not certified'}"
        return f"Build(folder={str(self.folder)!r}, {verdict})"

    @property
    def cleared(self) -> bool:
        """Return whether a rung was certified to clear the bar."""
        return bool(self.report["cleared"])


def build(
    product: Product | Located | str | Path,
    *,
    run: str | Path | None = None,
    all_rungs: bool = False,
    on_event: Listener | None = None,
    engine: Engine | str | None = None,
    lang: str | None = None,
    track: Sequence[str] = (),
    fetch: bool | Ask | None = None,
    workers: int | None = None,
) -> Build:
    """Return the cheapest rung certified to clear the product's bar, packed; or the best, marked uncertified.

    product: a Product, one with its folder, or the path of a product.yaml. run: the run folder; by default runs/<name>-NNN beside
    product.yaml, resuming an unfinished one. all_rungs: also measure the rungs above the winner, and race none. engine:
    where fits run, "local" or "ray" or one of yours; by default as the spec says. lang: of
    report.html, en or zh; by default the system's. track: where else to write it down while it runs, `mlflow:URI` or
    `tensorboard:DIR`. fetch: whether to download weights that rungs of the ladder lack, or a function that is asked; by
    default as the spec says. workers: fits at the same time on this machine; by default as the spec says. Raises RungError for
    every mistake of the user's.
    """
    with TrackingListener(track, on_event) as listener:
        return _build(product, run, all_rungs, listener, (engine, fetch, workers), resolve_language(lang))


def _build(
    product: Product | Located | str | Path,
    run: str | Path | None,
    all_rungs: bool,
    on_event: Listener,
    chosen: tuple[Engine | str | None, bool | Ask | None, int | None],
    lang: str,
) -> Build:
    """Do the work of `build`. chosen: engine, whether weights are fetched, workers, where the caller says so."""
    engine, fetch, workers = chosen
    product, base, file = _located(product)
    if engine is None or isinstance(engine, str):
        engine = open_engine(engine or product.engine)
    product = _with_workers(product, workers)
    task = registry.task(product.task)
    with locate_problems(file):
        check_costs(product, task)
    product = with_inputs(product, base, task)
    with locate_problems(file):
        check_spec(product, task, base)
    now = fingerprint_data(product, base)
    fingerprint = f"{product.fingerprint()}-{now}"
    folder = Path(run) if run else choose_folder(base / "runs", product.name, fingerprint)
    spec = json.dumps(product.shown(), ensure_ascii=False, indent=1)
    place = open_run(folder, product.name, fingerprint, spec, on_event, base)
    lock = CertificateLock(base / "certificate.lock")
    prices = load_prices(base / product.prices if product.prices else None)
    threads = product.budget.threads_of(os.cpu_count() or 1)
    with place.building(), locate_problems(file), running(engine, _wide(place, product, threads)):
        place.event("run", folder=str(folder), product=product.name)
        keep = partial(_keeping, threads, fresh_embeddings(product, place))
        read = partial(prepare_once, product, base, task, lock, now, engine=engine)
        with doing("read"), keep():
            where, facts = place.step("data", read)
        data = dataset_from(where, facts)
        place.event("data", **_selected(facts))
        _, checked = place.step("checks", partial(_check, View(product, base, data), keep))
        place.event("findings", **checked)
        context = fit_context(product, threads, base, (product.budget.minutes or 0) * 60 or None)
        context = replace(context, tables=side_tables(data))
        parts = (place, lock, prices, context, engine, data, fingerprint)
        setup = BuildSetup(product, task, *parts, findings=checked["findings"])
        wanted = product.fetch if fetch is None else fetch
        ask: Ask = wanted if callable(wanted) else lambda _: bool(wanted)
        try:
            with keep(), use_ngram_cache():
                found = _climb(setup, all_rungs, ask)
        finally:
            forget_table()
        bundle = _ship(setup, found)
        facts = facts | checked
        items, machine = advice_items(product, facts, found), report.machine(threads, task.title)
        written = report.report(product, facts, found, items, prices.notes, machine)
        write_text(folder / "report.html", render(written, lang))
        write_json(folder / "report.json", written)
        place.event("done", cleared=found.cleared, winner=found.winner, bundle=str(bundle))
    return Build(folder, bundle, written)


def _located(product: Product | Located | str | Path) -> tuple[Product, Path, Path | None]:
    """Return a product, the folder that its paths start from, and its file, None where it has none."""
    if isinstance(product, Located):
        return (*product, None)
    if isinstance(product, Product):
        return product, Path.cwd(), None
    return (*load_product(Path(product)), Path(product))


def _wide(run: Run, product: Product, threads: int) -> Place:
    """Return where an engine works for a build, and how wide."""
    home = run.folder.resolve()
    return Place(home / ENGINE_FOLDER, product.budget.workers, threads, home)


def _with_workers(product: Product, workers: int | None) -> Product:
    """Return the product with so many workers; as it is where nobody says."""
    if workers is None:
        return product
    return product.model_copy(update={"budget": product.budget.model_copy(update={"workers": workers})})


def _keeping(threads: int, fresh: Path | None) -> AbstractContextManager[None]:
    """Return what keeps vectors and decoded images while it is open. fresh: as in `EmbeddingSettings.fresh`."""
    return use_embedding_cache(cache_folder() / "embeddings", threads, fresh)


def _selected(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the event of read data says."""
    return {key: facts[key] for key in (*_SHOWN, *NOTE_KEYS) if key in facts}


def _check(view: View, keep: Callable[[], AbstractContextManager[None]], _: Path) -> dict[str, Any]:
    """Return what the cheap checks found; report and terminal show a few rows of each."""
    require_known_findings(view.product, view.dataset.schema.input_names)
    with keep():
        return {"findings": [finding.as_dict(_EVIDENCE) for finding in run_checks(view)]}


def _climb(setup: BuildSetup, all_rungs: bool, ask: Ask) -> Findings:
    """Try the rungs, cheapest first, until one is certified; what no rung clears, the best one answers for."""
    train = read_table(setup.data, "train")
    requirements = [Requirement(c, setup.task.metric(c.metric, setup.data.schema)) for c in setup.product.bar]
    rows = TrialRows(train, read_examples(setup.data, "certification"), requirements)
    sample = sample_texts(setup, train)
    planned = _plan(setup, train, sample, ask)
    setup.run.step("reference", partial(drift_reference.learn, train, setup.product.seed, setup.data.facts))
    setup = replace(setup, deadline=time.time() + 60 * (setup.product.budget.minutes or math.inf))
    climbed = climb(setup, planned.rungs, rows, all_rungs)
    trials, winner, certificate = climbed.trials, climbed.winner, climbed.certificate
    cleared = certificate is not None
    won = next((t for t in trials if winner and t["rung"] == winner.name), None)
    shipped = won or evaluate.best(trials, requirements[0].metric)
    left = untried(setup.task.name, planned, len(train), len(train.schema.classes), trials)
    if shipped is None:
        return Findings(
            trials, None, certificate, cleared, spent=spent(setup), untried=left, raced_out=climbed.raced_out
        )
    best = shipped["rung"]
    rung = next(r for r in planned.rungs if r.name == best)
    studied = study(setup, rung, shipped, rows)
    priced = costs(setup.prices, sample, shipped)
    cascade = cascade_proposal(setup, planned.rungs, trials, train)
    known = [*trials, *climbed.raced_out]
    above = (
        unneeded(setup.task.name, planned, len(train), len(train.schema.classes), known) if cleared else []
    )
    return Findings(
        trials,
        best,
        certificate,
        cleared,
        studied,
        priced,
        spent(setup),
        left,
        climbed.raced_out,
        cascade,
        above,
    )


def sample_texts(setup: BuildSetup, train: Examples) -> tuple[str, ...]:
    """Return the folded text of a few training rows, to tell a language or the tokens of a service by; () of media."""
    spread = train.take(range(0, len(train), max(len(train) // _SAMPLE_ROWS, 1)))
    texts = () if media_fields(train.schema.inputs) else spread.records()
    return tuple(setup.task.dedup_key(row) for row in texts)


def planned_ladder(setup: BuildSetup, train: Examples, sample: tuple[str, ...]) -> Ladder:
    """Return the ladder for the training rows."""
    product, facts = setup.product, setup.data.facts
    labels = max(len(train.schema.classes), 1)
    names = tuple(dict.fromkeys(label for field in train.schema.outputs for label in field.values))
    size = DataFacts(len(train), labels, facts["chars_per_row"], sample, facts["repeated"], names)
    return ladder(product, setup.task.floor, size, setup.prices, setup.context)


def _plan(setup: BuildSetup, train: Examples, sample: tuple[str, ...], ask: Ask) -> Ladder:
    """Return the ladder for the training rows, and say which rungs it has and which were left out."""
    check_rules(setup.product, train.schema.labels)
    planned = with_weights(partial(planned_ladder, setup, train, sample), ask, setup.run.event)
    setup.run.event("ladder", rungs=ladder_dicts(planned.rungs))
    for name, reason in planned.left_out.items():
        setup.run.event(
            "skipped", rung=name, why=reason_text(reason_dict(reason), "en"), reason=reason_dict(reason)
        )
    return planned


def _ship(setup: BuildSetup, found: Findings) -> Path:
    """Return the bundle folder, made from the winner's packed trial unless it stands there already."""
    bundle = setup.run.folder / "bundle"
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
        pack.finish(setup.run.folder / "trials" / found.winner / "bundle", temporary, found.certificate)
    return bundle
