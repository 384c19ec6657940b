"""Watch a product: from its spec to what its champion answered, held against what it was built on, and what it brings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.errors import RungError
from rung.core.files import read_json
from rung.core.manifest import Manifest, read_manifest, verify_files
from rung.core.prices import load_prices
from rung.core.spec.drift import DriftSpec
from rung.core.spec.product import Product, load_product
from rung.journal.served_rows import SETTLED_SECONDS, JournalReader
from rung.monitoring.drift.reference import DriftReference, read_reference
from rung.monitoring.drift_monitor import DriftMonitor, start_period
from rung.monitoring.drift_report import drift_report
from rung.monitoring.drift_state import DriftState, exclusive_access, read_state, state_path, write_state
from rung.monitoring.value import UsageTotals, accuracy_estimate, value_report
from rung.monitoring.webhook import post_json
from rung.serving import audit_log
from rung.serving.bundle_source import find_bundle_source


@dataclass(frozen=True)
class DriftCheck:
    """What a look found. not_told: why an alarm could not be sent, "" when there was nothing to send or it was."""

    report: dict[str, Any]
    send_problem: str = ""


@dataclass(frozen=True)
class ServedModel:
    """What is watched: the spec, the bundle that serves, and the service folder with its journal."""

    spec: DriftSpec
    bundle: Path
    folder: Path
    product: Product | None = None
    base: Path = Path()


def find_served_model(path: str | Path, folder: str | Path | None = None) -> ServedModel:
    """Return what a path means: a product, of which the champion is watched, or a bundle or run with its `folder`.

    Raises RungError where the service folder is not known.
    """
    path = Path(path)
    given = Path(folder) if folder is not None else None
    source = find_bundle_source(path, given)
    if source.base is None:
        if given is None:
            raise RungError(
                "a bundle does not say where its journal lies", path.name, "Give the service folder with --folder."
            )  # fmt: skip
        return ServedModel(DriftSpec(), source.find(), given)
    product, base = load_product(path)
    return ServedModel(product.drift, source.find(), given or base / product.serve.folder, product, base)


def check_drift(
    path: str | Path, folder: str | Path | None = None, *, settled: float = SETTLED_SECONDS
) -> DriftCheck:
    """Return what is known of drift after all rows served so far; alarms not told yet are sent to the webhook.

    path: a product.yaml, or a bundle or run with `folder`. settled: rows younger than so many seconds wait for the
    next look. Each row is looked at once: what was seen is remembered in the service folder.
    """
    what = find_served_model(path, folder)
    manifest = read_manifest(what.bundle)
    verify_files(what.bundle, manifest)
    reference = read_reference(what.bundle)
    until = time.time() - settled
    with JournalReader(what.folder) as journal, exclusive_access(what.folder):
        file = state_path(what.folder, manifest.name, manifest.version)
        state = read_state(file) or DriftState(start_period(reference, manifest, what.spec))
        once = registry.task(manifest.task).repeats_are_copies
        monitor = DriftMonitor(state.period, reference, manifest, what.spec.false_alarms, once)
        inputs = manifest.schema.inputs
        for rows in journal.rows(manifest.name, manifest.version, state.period.last_id, until, inputs):
            monitor.add_predictions(rows)
        said = journal.feedback(manifest.name, manifest.version, until)
        monitor.add_feedback(said)
        write_state(file, state)
        not_told = _send_alarms(what.spec, manifest, state, file)
        return DriftCheck(drift_report(manifest, what.spec, state, reference, said), not_told)


def acknowledge(
    path: str | Path, who: str, against: str = "served", folder: str | Path | None = None
) -> dict[str, Any]:
    """End the running period in somebody's name and begin the next; return a line on the ended one.

    against: `served`: what is served from now on is how the world is, and rows are held against each other;
    `training`: it was a false alarm, or the cause is mended. Raises RungError where nothing was looked at yet.
    """
    what = find_served_model(path, folder)
    manifest = read_manifest(what.bundle)
    reference: DriftReference = read_reference(what.bundle)
    if not what.folder.is_dir():
        raise RungError("there is no such folder", str(what.folder), "Serve the product first: rung serve.")
    with exclusive_access(what.folder):
        file = state_path(what.folder, manifest.name, manifest.version)
        state = read_state(file)
        if state is None:
            raise RungError("nothing was looked at yet", file.name, "Look first: rung drift.")
        old, now = state.period, time.time()
        alarms = [item.key for item in old.tests if item.alarm]
        line = {
            "number": old.number, "against": old.compared_with, "rows": old.rows, "first_at": old.first_at,
            "last_at": old.last_at, "alarms": alarms, "acknowledged_by": who, "at": now, "reference_rows": reference.rows,
        }  # fmt: skip
        period = start_period(reference, manifest, what.spec, against, old.number + 1)
        # It goes on where the last one stopped: rows are looked at once, and audits said from now on count.
        period.last_id, period.since = old.last_id, now
        write_state(file, DriftState(period, [*state.ended, line]))
        audit_log.record(
            what.folder, who[:64], "drift acknowledge", manifest.name, alarms=alarms, against=against
        )
        return line


def _send_alarms(spec: DriftSpec, manifest: Manifest, state: DriftState, file: Path) -> str:
    """Send what was not told yet; return why it could not be."""
    new = [item for item in state.period.tests if item.alarm and not item.alarm["told"]]
    if not new:
        return ""
    try:
        address = spec.address()
        if address is None:
            return ""
        post_json(
            address, _webhook_body(spec, manifest, state, [item.alarm or {} for item in new]), spec.seconds
        )
    except RungError as error:
        return f"{error.problem}. {error.where}: {error.fix}"
    for item in new:
        item.alarm = {**(item.alarm or {}), "told": True}
    write_state(file, state)
    return ""


def _webhook_body(
    spec: DriftSpec, manifest: Manifest, state: DriftState, alarms: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what a webhook is told: names of fields and statistics, counts and times, no input."""
    named = ", ".join(alarm["key"] for alarm in alarms)
    return {
        "event": "drift",
        "text": f"{manifest.name}: drift after {state.period.rows:,} rows ({named})",
        "model": manifest.name,
        "version": manifest.version,
        "period": state.period.number,
        "rows": state.period.rows,
        "false_alarms": spec.false_alarms,
        "alarms": [{key: alarm[key] for key in ("key", "kind", "rows", "at")} for alarm in alarms],
    }


def business_value(path: str | Path, folder: str | Path | None = None) -> dict[str, Any]:
    """Return what a product's answers cost and brought; every version of its model counts.

    path: a product.yaml, or a bundle or run with `folder`, the service folder. Raises RungError without a journal.
    """
    what = find_served_model(path, folder)
    manifest = read_manifest(what.bundle)
    product = what.product
    prices = load_prices(what.base / product.prices if product and product.prices else None)
    tally = UsageTotals()
    with JournalReader(what.folder) as journal:
        now = time.time()
        for rows in journal.rows(manifest.name, None, "", now):
            tally.add(rows)
        said = journal.feedback(manifest.name, manifest.version, now)
    right = accuracy_estimate(said, manifest, _reference(what.bundle))
    return value_report(
        manifest, tally, prices, product.value if product else None, right, _baseline_accuracy(what.bundle)
    )


def _reference(bundle: Path) -> DriftReference | None:
    """Return the bundle's reference; None for a bundle older than references."""
    try:
        return read_reference(bundle)
    except RungError:
        return None


def _baseline_accuracy(bundle: Path) -> float | None:
    """Return the accuracy of the floor on held-out rows, from the report of the bundle's run; None where there is none."""
    path = bundle.parent / "report.json"
    if not path.is_file():
        return None
    trials = read_json(path).get("trials", [])
    scores = [trial["scores"].get("accuracy") for trial in trials if trial.get("is_floor")]
    return scores[0] if scores else None
