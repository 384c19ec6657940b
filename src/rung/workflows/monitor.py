"""Monitor a served product: check its champion for drift, acknowledge alarms, and report its business value."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core import registry
from rung.core.errors import MissingExtra, RungError
from rung.core.files import read_json
from rung.core.manifest import Manifest, read_manifest, verify_files
from rung.core.prices import load_prices
from rung.core.spec.drift import DriftSpec
from rung.core.spec.product import Product, load_product
from rung.core.types import Field
from rung.monitoring.drift.reference import DriftReference, read_reference
from rung.monitoring.drift_monitor import DriftMonitor, start_period
from rung.monitoring.drift_report import drift_report
from rung.monitoring.drift_state import DriftState, exclusive_access, read_state, state_path, write_state
from rung.monitoring.value import UsageTotals, accuracy_estimate, value_report
from rung.monitoring.webhook import post_json
from rung.serving import audit_log
from rung.serving.bundle_source import find_bundle_source

if TYPE_CHECKING:
    from rung.journal.reader import JournalReader

# Ids are given before rows are committed, so a younger row can be readable before an older one.
SETTLED_SECONDS = 10.0


@dataclass(frozen=True)
class DriftCheck:
    """The result of a drift check. send_problem: why an alarm could not be sent, "" if there is no problem."""

    report: dict[str, Any]
    send_problem: str = ""


@dataclass(frozen=True)
class ServedModel:
    """The monitored model: the spec, the serving bundle, and the service folder with its journal."""

    spec: DriftSpec
    bundle: Path
    folder: Path
    product: Product | None = None
    base: Path = Path()


def find_served_model(path: str | Path, folder: str | Path | None = None) -> ServedModel:
    """Return the champion of a product, or the model of a bundle or run with its service `folder`.

    Raises RungError where the service folder is not known.
    """
    path = Path(path)
    given = Path(folder) if folder is not None else None
    source = find_bundle_source(path, given)
    if source.base is None:
        if given is None:
            raise RungError(
                "a bundle does not name the folder of its journal", path.name, "Give the service folder with --folder."
            )  # fmt: skip
        return ServedModel(DriftSpec(), source.find(), given)
    product, base = load_product(path)
    return ServedModel(product.drift, source.find(), given or base / product.serve.folder, product, base)


def check_drift(
    path: str | Path, folder: str | Path | None = None, *, settled: float = SETTLED_SECONDS
) -> DriftCheck:
    """Update the drift tests with all rows served up to now; send new alarms to the webhook.

    path: a product.yaml, or a bundle or run with `folder`. settled: age in seconds from which rows are certain to be
    committed; younger ones are waited for. Each row is tested once: the state of the tests is stored in the service
    folder.
    """
    model = find_served_model(path, folder)
    manifest = read_manifest(model.bundle)
    verify_files(model.bundle, manifest)
    reference = read_reference(model.bundle)
    until = time.time() - min(settled, 0.0)
    with _open_journal(model.folder, manifest.schema.inputs) as journal:
        age = time.time() - journal.last_at(manifest.name, manifest.version)
    if age < settled:
        time.sleep(min(settled - age, settled))
    with _open_journal(model.folder, manifest.schema.inputs) as journal, exclusive_access(model.folder):
        file = state_path(model.folder, manifest.name, manifest.version)
        state = read_state(file) or DriftState(start_period(reference, manifest, model.spec))
        repeats_are_copies = registry.task(manifest.task).repeats_are_copies
        monitor = DriftMonitor(state.period, reference, manifest, model.spec.false_alarms, repeats_are_copies)
        for rows in journal.predictions(manifest.name, manifest.version, state.period.last_id, until):
            monitor.add_predictions(rows)
        feedback = journal.latest_feedback(manifest.name, manifest.version, until)
        monitor.add_feedback(feedback)
        write_state(file, state)
        problem = _send_alarms(model.spec, manifest, state, file)
        return DriftCheck(drift_report(manifest, model.spec, state, reference, feedback), problem)


def acknowledge(
    path: str | Path, who: str, against: str = "served", folder: str | Path | None = None
) -> dict[str, Any]:
    """End the current period and begin the next; return the facts of the ended one.

    who: who acknowledges. against: `served` if the change is permanent: served rows are compared with each
    other from now on; `training` after a false alarm, or if the cause is fixed. Raises RungError before the
    first check.
    """
    model = find_served_model(path, folder)
    manifest = read_manifest(model.bundle)
    reference = read_reference(model.bundle)
    if not model.folder.is_dir():
        raise RungError("there is no such folder", str(model.folder), "Serve the product first: rung serve.")
    with exclusive_access(model.folder):
        file = state_path(model.folder, manifest.name, manifest.version)
        state = read_state(file)
        if state is None:
            raise RungError("there was no drift check yet", file.name, "Check first: rung drift.")
        old, now = state.period, time.time()
        alarms = [item.key for item in old.tests if item.alarm]
        line = {
            "number": old.number, "against": old.compared_with, "rows": old.rows, "first_at": old.first_at,
            "last_at": old.last_at, "alarms": alarms, "acknowledged_by": who, "at": now, "reference_rows": reference.rows,
        }  # fmt: skip
        period = start_period(reference, manifest, model.spec, against, old.number + 1)
        # The new period continues after the last row of the old one, and counts audit feedback given from now
        # on.
        period.last_id, period.since = old.last_id, now
        write_state(file, DriftState(period, [*state.ended, line]))
        audit_log.record(
            model.folder, who[:64], "drift acknowledge", manifest.name, alarms=alarms, against=against
        )
        return line


def _open_journal(folder: Path, fields: Sequence[Field] = ()) -> JournalReader:
    try:
        from rung.journal.reader import JournalReader
    except ImportError:
        raise MissingExtra("reading the journal", "ops", "SQLAlchemy") from None
    return JournalReader.from_folder(folder, fields)


def _send_alarms(spec: DriftSpec, manifest: Manifest, state: DriftState, file: Path) -> str:
    """Send the alarms that were not sent yet; return why they could not be sent, "" if they could."""
    new = [item for item in state.period.tests if item.alarm and not item.alarm["told"]]
    if not new:
        return ""
    try:
        address = spec.address()
        if address is None:
            return ""
        alarms = [item.alarm or {} for item in new]
        post_json(address, _webhook_body(spec, manifest, state, alarms), spec.seconds)
    except RungError as error:
        return f"{error.problem}. {error.where}: {error.fix}"
    for item in new:
        item.alarm = {**(item.alarm or {}), "told": True}
    write_state(file, state)
    return ""


def _webhook_body(
    spec: DriftSpec, manifest: Manifest, state: DriftState, alarms: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the body of a webhook request: names of fields and statistics, counts and times, no input."""
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
    """Return the costs and the value of a product's answers, over all versions of its model.

    path: a product.yaml, or a bundle or run with its service `folder`. Raises RungError without a journal.
    """
    model = find_served_model(path, folder)
    manifest = read_manifest(model.bundle)
    product = model.product
    prices = load_prices(model.base / product.prices if product and product.prices else None)
    usage = UsageTotals()
    with _open_journal(model.folder) as journal:
        now = time.time()
        for rows in journal.predictions(manifest.name, until=now):
            usage.add(rows)
        feedback = journal.latest_feedback(manifest.name, manifest.version, now)
    accuracy = accuracy_estimate(feedback, manifest, _reference(model.bundle))
    spec = product.value if product else None
    return value_report(manifest, usage, prices, spec, accuracy, _baseline_accuracy(model.bundle))


def _reference(bundle: Path) -> DriftReference | None:
    """Return the bundle's drift reference; None for a bundle without one."""
    try:
        return read_reference(bundle)
    except RungError:
        return None


def _baseline_accuracy(bundle: Path) -> float | None:
    """Return the baseline's accuracy on held-out rows from the report of the bundle's run.

    None where there is none.
    """
    path = bundle.parent / "report.json"
    if not path.is_file():
        return None
    trials = read_json(path).get("trials", [])
    scores = [trial["scores"].get("accuracy") for trial in trials if trial.get("is_floor")]
    return scores[0] if scores else None
