"""Write a bundle for a place without rung: choose rows, write, let what was written answer them, compare, keep."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.building.evaluate import folds
from rung.core.errors import RungError, did_you_mean
from rung.core.files import read_json, whole_folder
from rung.core.messages import resolve_language
from rung.core.run import MARKER
from rung.data.prepare.parquet import read_examples
from rung.data.prepare.prepare import dataset_from
from rung.data.sources.read import open_source, read_rows
from rung.data.sources.rows import Reading
from rung.exporting import browser, c_target, docker, onnx_target, report, wheel
from rung.exporting.source import MOST_ROWS, Rows, Source, answered_rows, packed_rows, require_stable
from rung.exporting.target import Target

TARGETS: dict[str, Target] = {
    one.name: one
    for one in (wheel.TARGET, c_target.TARGET, browser.TARGET, docker.TARGET, onnx_target.TARGET)
}
# So long a planned fit is scored on one part of the training rows: see `planned_folds`.
_LONG_FIT = 1e9


@dataclass(frozen=True)
class Export:
    """What an export left: its folder and the report as a value."""

    folder: Path
    report: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Return whether the export answers as the server does; only then it was kept."""
        return bool(self.report["ok"])


def export(
    bundle: str | Path, to: str, *, out: str | Path | None = None, rows: str | Path | None = None, lang: str | None = None
) -> Export:  # fmt: skip
    """Return a bundle written for a target, held against the server's answers.

    bundle: a bundle's folder or a run's. to: wheel, c, browser, onnx or docker. out: the folder to write; by default
    `export-<target>` beside the bundle. rows: a table to compare answers on; by default the validation rows of the run that the
    bundle lies in, else the packed examples. Raises RungError for a bundle that the target cannot hold.
    """
    if to not in TARGETS:
        raise RungError(f"'{to}' is no target of an export", "--to", did_you_mean(to, TARGETS))
    words, target = resolve_language(lang), TARGETS[to]
    source = Source.open(Path(bundle))
    require_stable(source)
    folder = Path(out) if out else source.folder.resolve().parent / f"export-{to}"
    _require_free(folder)
    compared = rows_of(source, Path(rows) if rows else None)
    with whole_folder(folder) as temporary:
        notes = target.write(source, temporary)
        checks = target.check(source, temporary, compared)
        found = report.report(source, to, compared, temporary, notes, checks)
        if not found["ok"]:
            for path in temporary.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        report.write(found, temporary, words)
    return Export(folder, found)


def rows_of(source: Source, file: Path | None) -> Rows:
    """Return the rows that an export is held against."""
    if file is not None:
        return answered_rows(source, _file_rows(source, file), "file", str(file))
    run = source.run
    if run is None or not (run / "data" / MARKER).is_file():
        return packed_rows(source)
    return answered_rows(source, _validation_rows(source, run), "validation", str(run))


def _file_rows(source: Source, file: Path) -> Iterator[dict[str, Any]]:
    table = open_source((str(file.resolve()),), Reading(), file.resolve().parent)
    for row in read_rows(table):
        if row.values is not None:
            yield {name: row.values.get(name) for name in source.manifest.schema.input_names}


def _validation_rows(source: Source, run: Path) -> Iterator[dict[str, Any]]:
    """Yield the training rows that the run's winner was scored on."""
    dataset = dataset_from(run / "data", read_json(run / "data" / MARKER))
    train = read_examples(dataset, "train")
    trial = run / "trials" / source.manifest.rung / MARKER
    how = read_json(trial).get("held_out", {}).get("how", "") if trial.is_file() else ""
    parts = folds(train, _LONG_FIT if how == "part" else 0.0).parts
    places = sorted({place for _, test in parts for place in test})
    yield from train.take(places[:MOST_ROWS]).records()


def _require_free(folder: Path) -> None:
    """Raise RungError for a folder that holds anything but an earlier export."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / report.JSON).is_file():
        raise RungError(
            "the folder holds something else", str(folder), "Name an empty or a new one with --out."
        )
    if folder.exists() and not folder.is_dir():
        raise RungError("it is a file", str(folder), "Name a folder with --out.")
