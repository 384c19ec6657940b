"""Check the data of a product before a build, write the findings, and merge corrections of labels."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.csv_cells import escape_formula, hash_cell
from rung.core.engine import Place
from rung.core.files import write_json, write_text
from rung.core.spec.product import load_product, locate_problems
from rung.data.checks import by_severity, each_check, require_known_findings
from rung.data.labels.corrections import Correction, merge, read_answers, write_corrections
from rung.data.prepare.cast import with_inputs
from rung.data.prepare.prepare import prepare
from rung.data.profile.finding import Finding
from rung.data.profile.view import View
from rung.engines.choose import running
from rung.engines.local import LocalEngine
from rung.pages.data_notes import NOTE_KEYS


@dataclass(frozen=True)
class CheckResult:
    """The result of the checks. facts: of the prepared data: rows, train, certification, quarantined."""

    findings: tuple[Finding, ...]
    facts: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the content of findings.json."""
        shown = ("rows", "used", "train", "certification", "quarantined", "labels", *NOTE_KEYS)
        return {
            "data": {key: self.facts[key] for key in shown if key in self.facts},
            "findings": [finding.as_dict() for finding in self.findings],
        }


def check(
    path: Path,
    labels: bool = False,
    on_check: Callable[[str], None] = lambda _: None,
    workers: int | None = None,
) -> CheckResult:
    """Return the problems of the data of a product.yaml, the most serious first.

    labels: also look for likely wrong labels. This publishes how a model did on training rows, so the split
    is frozen in certificate.lock first, as by a build. Without it the lock is only read, and `time`, `group`
    and `input` can still be changed. on_check: called with the name of each check when it is done.
    workers: files read at the same time on this machine; by default as the spec says.
    """
    product, base = load_product(path)
    task = registry.task(product.task)
    product = with_inputs(product, base, task)
    with tempfile.TemporaryDirectory(prefix="rung-") as scratch, locate_problems(path):
        lock = base / "certificate.lock"
        if not labels:
            copy = Path(scratch) / lock.name
            if lock.is_file():
                shutil.copyfile(lock, copy)
            lock = copy
        folder = Path(scratch) / "data"
        folder.mkdir()
        engine, threads = LocalEngine(), product.budget.threads_of(os.cpu_count() or 1)
        workers = product.budget.workers if workers is None else workers
        with running(engine, Place(Path(scratch) / "engine", workers, threads)):
            data = prepare(product, base, task, CertificateLock(lock), folder, engine)
        require_known_findings(product, data.schema.input_names)
        found = []
        for name, finding in each_check(View(product, base, data), "labels" if labels else "check"):
            on_check(name)
            found += [finding] if finding else []
    return CheckResult(tuple(by_severity(found)), data.facts)


def write_findings(checked: CheckResult, folder: Path) -> list[Path]:
    """Write findings.json and a CSV of the rows of each finding; return the files.

    labels.csv lists likely wrong labels with an empty column `correct` to fill.
    """
    write_json(folder / "findings.json", checked.as_dict())
    files = [folder / "findings.json"]
    for finding in checked.findings:
        rows = finding.table or [item.as_dict() for item in finding.evidence]
        if rows:
            name = "labels" if finding.check == "wrong_labels" else finding.check
            files.append(folder / f"{name}.csv")
            write_text(files[-1], rows_to_csv(rows))
    return files


def rows_to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV with a byte order mark, without which spreadsheets do not read Chinese as UTF-8.

    Cells of free text that a spreadsheet would run as a formula are escaped.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(rows[0])
    writer.writerow(map(escape_formula, names))
    # `rung data correct` takes the quote away again.
    for row in rows:
        cells = (hash_cell(row[name]) if name == "hash" else row[name] for name in names)
        writer.writerow([escape_formula(cell) if isinstance(cell, str) else cell for cell in cells])
    return "\ufeff" + text.getvalue()


@dataclass(frozen=True)
class CorrectionResult:
    """The result of `rung data correct`.

    file: the overlay. rows: its corrections; new: those added or changed. named: product.yaml names the file
    already.
    """

    file: Path
    rows: int
    new: int
    named: bool


def correct(
    path: Path, answers: Path, accept: bool = False, out: str = "corrections.csv"
) -> CorrectionResult:
    """Merge the column `correct` of a labels.csv into the overlay beside product.yaml.

    accept: use the suggestion where `correct` is empty. The source is not changed. A build that names the
    file under `data.corrections` applies it to training rows only. Raises DataError for a file without the
    expected columns.
    """
    product, base = load_product(path)
    given: list[Correction] = read_answers(answers, registry.task(product.task), accept)
    target = base / (product.data.corrections or out)
    merged, new = merge(target, given)
    write_corrections(target, merged)
    return CorrectionResult(target, len(merged), new, product.data.corrections is not None)
