"""Predict many files, each a job of its own: answers lie in a folder, one file for each, and what is whole stays."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from rung.core.engine import Engine, Job, Place, Resources
from rung.core.errors import DataError, RungError
from rung.core.files import read_json, write_json, writing
from rung.data.sources.locate import matching_files
from rung.engines.choose import open_engine, running
from rung.serving.predictor import Predictor, open_bundle
from rung.workflows.predict_rows import OutputOptions, open_rows, predict_rows

# Below the folder of answers: a marker for each file that is whole, and what an engine writes while it runs.
DONE, _ENGINE = ".done", ".engine"


@dataclass(frozen=True)
class ShardJob:
    """One file to predict. out: the file of its answers; marker: written last, it says that they are whole.

    made_of: what answers depend on: the bundle's version, options, size and time of the file.
    """

    bundle: Path
    version: str
    source: Path
    out: Path
    marker: Path
    options: OutputOptions
    encoding: str | None
    made_of: str


@dataclass
class Batch:
    """What became of the files of a batch. kept: files whose answers were whole before; failed: (file, why)."""

    folder: Path | str
    files: int = 0
    kept: int = 0
    rows: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)


def predict_shards(
    bundle: Path,
    source: str,
    out: Path,
    options: OutputOptions,
    encoding: str | None = None,
    engine: Engine | str = "local",
    workers: int | None = None,
) -> Batch:
    """Return what became of the files that `source` names: a pattern, a folder or a file.

    out: a folder that gets one file of answers for each of them, at the same place below it, with one row for each row.
    Files whose answers are whole, from the same bundle, options and content, are not predicted again. One that cannot be
    read is noted and the others go on. Raises RungError where nothing can be begun.
    """
    chosen = open_engine(engine) if isinstance(engine, str) else engine
    jobs = list(shard_jobs(bundle.resolve(), source, out.resolve(), options, encoding))
    wide = Place(out.resolve() / _ENGINE, workers, 1, out.resolve())
    listed = [(str(job.source), whole_answers(job), job) for job in jobs]
    return spread(Batch(out, files=len(jobs)), listed, predict_shard, chosen, wide)


def spread(
    found: Batch,
    listed: Sequence[tuple[str, dict[str, Any] | None, Job]],
    predict: Callable[[Job], dict[str, Any]],
    engine: Engine,
    wide: Place,
) -> Batch:
    """Return the batch with what became of its files.

    listed: each file, what is known of answers to it that are whole, None where there are none, and its job. predict: returns
    what is known of the answers, or `failed` and why.
    """
    left = [(name, job) for name, facts, job in listed if facts is None]
    for name, facts, _ in listed:
        if facts is not None:
            found.kept += 1
            _add(found, name, facts)
    with running(engine, wide):
        made = engine.map(predict, [job for _, job in left], Resources(of=str(found.folder)))
        for (name, _), facts in zip(left, made, strict=True):
            _add(found, name, facts)
    return found


def _add(found: Batch, name: str, facts: dict[str, Any]) -> None:
    if "failed" in facts:
        found.failed.append((name, facts["failed"]))
    else:
        found.rows += facts["rows"]
        found.errors.update(facts["errors"])


def shard_jobs(
    bundle: Path, source: str, out: Path, options: OutputOptions, encoding: str | None
) -> Iterator[ShardJob]:
    """Yield a job for each file; raises RungError where there is none, or answers would lie among the files."""
    files = _files(source)
    base = Path(os.path.commonpath([file.parent for file in files]))
    if out == base or out in base.parents or any(out in file.parents for file in files):
        fix = "Choose another folder with -o."
        raise RungError("the answers would lie among the files that are predicted", str(out), fix)
    version = open_bundle(bundle).manifest.version
    with writing(out):
        (out / DONE).mkdir(parents=True, exist_ok=True)
    taken: dict[Path, Path] = {}
    for file in files:
        relative = file.relative_to(base)
        target = out / relative.with_suffix(".jsonl" if options.jsonl else ".csv")
        if target in taken:  # a.csv and a.parquet
            target = target.with_name(relative.name + target.suffix)
        taken[target] = file
        stat = file.stat()
        made_of = facts_of(version, options, encoding, stat.st_size, stat.st_mtime_ns)
        marker = out / DONE / marker_name(str(relative))
        yield ShardJob(bundle, version, file, target, marker, options, encoding, made_of)


def facts_of(
    version: str, options: OutputOptions, encoding: str | None, size: int, changed: int | str
) -> str:
    """Return what answers were made of: bundle, options, and the file with its size and what tells that it changed."""
    return json.dumps([version, asdict(options), encoding, size, changed], sort_keys=True)


def marker_name(relative: str) -> str:
    """Return the name of the marker of a file. relative: its path among the files that are predicted."""
    return f"{hashlib.sha256(relative.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"


def _files(source: str) -> Sequence[Path]:
    path = Path(source)
    found = sorted(path.iterdir()) if path.is_dir() else matching_files(path)
    files = [file.absolute() for file in found if file.is_file() and not file.name.startswith(".")]
    if not files:
        raise DataError(
            "there is no file here", source, "Name a pattern in quotes, such as -i 'rows/*.parquet'."
        )
    return files


def whole_answers(job: ShardJob) -> dict[str, Any] | None:
    """Return what is known of the answers to a file that are whole and still hold; None where there are none."""
    if not (job.marker.is_file() and job.out.is_file()):
        return None
    facts: dict[str, Any] = read_json(job.marker)
    holds = facts["made_of"] == job.made_of and facts["bytes"] == job.out.stat().st_size
    return facts if holds else None


def predict_shard(job: ShardJob) -> dict[str, Any]:
    """Return rows, errors and size of the answers to one file; `failed` and why where the file cannot be read.

    The answers are renamed into place, and the marker is written after: a killed worker leaves neither, or both.
    """
    kept = whole_answers(job)
    if kept is not None:
        return kept
    temporary = job.out.with_name(f".{job.out.name}.{os.getpid()}.tmp")
    try:
        job.out.parent.mkdir(parents=True, exist_ok=True)
        model = _opened(job.bundle, job.version)
        with temporary.open("w", encoding="utf-8", newline="") as file:
            errors, rows = predict_rows(
                model, open_rows(model, [job.source], False, job.encoding), file, job.options
            )
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(job.out)
    except RungError as error:
        return {"failed": str(error)}
    finally:
        temporary.unlink(missing_ok=True)
    facts = {"file": job.source.name, "rows": rows, "errors": dict(errors), "bytes": job.out.stat().st_size}
    write_json(job.marker, facts | {"made_of": job.made_of})
    return facts


@lru_cache(maxsize=1)
def _opened(bundle: Path, version: str) -> Predictor:
    """Return the bundle, opened once in a process; raises RungError where it has become another."""
    model = open_bundle(bundle)
    if model.manifest.version != version:
        raise RungError(
            f"the bundle changed from {version} to {model.manifest.version}", str(bundle), "Begin again."
        )
    return model
