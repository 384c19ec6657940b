"""Predict many files of an object store, each a job of its own: fetched, predicted here, and put there whole."""

from __future__ import annotations

import json
import posixpath
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.engine import Engine, Place
from rung.core.errors import DataError, RungError
from rung.core.object_store import address_of, contents, fetch, matching, put, sizes
from rung.engines.choose import open_engine
from rung.serving.predictor import open_bundle
from rung.workflows.predict_rows import OutputOptions
from rung.workflows.predict_shards import DONE, Batch, ShardJob, facts_of, marker_name, predict_shard, spread


@dataclass(frozen=True)
class StoredJob:
    """One file to predict. source, out, marker: addresses; what they and `made_of` mean: see `ShardJob`."""

    bundle: Path
    version: str
    source: str
    out: str
    marker: str
    options: OutputOptions
    encoding: str | None
    made_of: str


def predict_stored(
    bundle: Path,
    source: str,
    out: str,
    options: OutputOptions,
    encoding: str | None = None,
    engine: Engine | str = "local",
    workers: int | None = None,
) -> Batch:
    """Return what became of the files that `source` names, as `predict_shards` does. One side at least is in a store.

    A job holds its file and the answers to it in the system's temporary folder. Workers must see the bundle.
    """
    chosen = open_engine(engine) if isinstance(engine, str) else engine
    bundle = bundle.resolve()
    jobs = stored_jobs(bundle, source, out, options, encoding)
    known = _whole(address_of(out), jobs)
    with tempfile.TemporaryDirectory(prefix="rung-") as home:
        wide = Place(Path(home) / "engine", workers, 1, bundle.parent)
        listed = [(job.source, known.get(job.source), job) for job in jobs]
        return spread(Batch(out, files=len(jobs)), listed, predict_one, chosen, wide)


def stored_jobs(
    bundle: Path, source: str, out: str, options: OutputOptions, encoding: str | None
) -> list[StoredJob]:
    """Return a job for each file; raises RungError where there is none, or answers would lie among the files."""
    source, out = address_of(source), address_of(out)
    files = matching(source)
    if not files:
        fix = "Name a pattern in quotes, such as -i 'rows/*.parquet'."
        raise DataError("there is no file here", source, fix)
    base = _common([posixpath.dirname(file.address) for file in files])
    if f"{base}/".startswith(f"{out}/") or any(file.address.startswith(f"{out}/") for file in files):
        fix = "Choose another folder with -o."
        raise RungError("the answers would lie among the files that are predicted", out, fix)
    version = open_bundle(bundle).manifest.version
    jobs, taken = [], set[str]()
    for file in files:
        relative = file.address.removeprefix(f"{base}/")
        ending = ".jsonl" if options.jsonl else ".csv"
        target = posixpath.splitext(relative)[0] + ending
        if target in taken:  # a.csv and a.parquet
            target = relative + ending
        taken.add(target)
        made_of = facts_of(version, options, encoding, file.size, file.changed)
        marker = f"{out}/{DONE}/{marker_name(relative)}"
        jobs.append(
            StoredJob(bundle, version, file.address, f"{out}/{target}", marker, options, encoding, made_of)
        )
    return jobs


def _common(folders: Sequence[str]) -> str:
    """Return the folder that holds all of these addresses of one store."""
    scheme, _, _ = folders[0].partition("://")
    return f"{scheme}://{posixpath.commonpath([folder.partition('://')[2] for folder in folders])}"


def _whole(out: str, jobs: Sequence[StoredJob]) -> dict[str, dict[str, Any]]:
    """Return what is known of answers that are whole and still hold, by the file that they answer."""
    there = sizes(out)
    made = [job for job in jobs if job.out in there and job.marker in there]
    said = contents(out, [job.marker for job in made])
    found = {}
    for job in made:
        facts = json.loads(said[job.marker]) if job.marker in said else {}
        if facts.get("made_of") == job.made_of and facts["bytes"] == there[job.out]:
            found[job.source] = facts
    return found


def predict_one(job: StoredJob) -> dict[str, Any]:
    """Return rows, errors and size of the answers to one file; `failed` and why where it cannot be read.

    The answers are put before their marker: a killed worker leaves neither, or answers that are made again.
    """
    with tempfile.TemporaryDirectory(prefix="rung-") as folder:
        home = Path(folder)
        here = home / "rows" / posixpath.basename(job.source)
        here.parent.mkdir()
        answers, marker = home / "answers", home / "marker.json"
        try:
            fetch(job.source, here)
            inner = ShardJob(
                job.bundle, job.version, here, answers, marker, job.options, job.encoding, job.made_of
            )
            facts = predict_shard(inner)
            if "failed" in facts:
                return {"failed": facts["failed"].replace(str(here), job.source)}
            put(answers, job.out)
            put(marker, job.marker)
        except RungError as error:
            return {"failed": str(error)}
    return facts
