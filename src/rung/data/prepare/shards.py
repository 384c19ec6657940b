"""Read the files of a source as jobs: each leaves a part, with its rows staged and their hashes; the parts are joined in order.

A part does not depend on any other file, and joining puts rows, hashes and counts where reading file after file would have put
them. So neither the number of files nor who reads them changes the tables. What is compared between rows (duplicates, sides) waits
until all hashes are there: see `hash_ranges.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.core.activity import note
from rung.core.blobs import BlobStore
from rung.core.engine import Engine, Resources
from rung.core.files import whole_folder
from rung.core.kind import kind
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.data.labels.corrections import open_corrections
from rung.data.prepare.column_formats import SourceFormats
from rung.data.prepare.ingest import RowIngestor, needed_columns, staged_columns
from rung.data.prepare.parquet import PART, TableWriter
from rung.data.prepare.quarantine import Quarantine
from rung.data.sources.read import Source, read_rows
from rung.data.sources.rows import Table
from rung.engines.local import LocalEngine

# The files of a part: see `RowIngestor.save` for the others.
LISTED, NOTES = "quarantine.jsonl", "notes.json"
# What a job is planned to take: a process with pyarrow, and the hashes of a few million rows.
_MEMORY_MB = 600


@dataclass(frozen=True, eq=False)
class ShardJob:
    """One file of a source to be staged. own: it holds the user's certification rows. folder: the part, which is written whole.

    before: rows that are known to stand before it, for who watches.
    """

    product: Product
    base: Path
    task: Task
    formats: SourceFormats
    table: Table
    own: bool
    folder: Path
    before: int = 0


@dataclass(frozen=True, eq=False)
class Parts:
    """What the parts of all sources have in common. folder: holds a folder for each part."""

    product: Product
    base: Path
    task: Task
    formats: SourceFormats
    folder: Path
    quarantine: Quarantine


def portable(source: Source, product: Product, task: Task) -> list[Table] | None:
    """Return the files of a source that can be read apart from each other; None where rows depend on other rows or on media.

    They do where a task makes its rows from several, and media are stored once for all of them.
    """
    if type(task).reshape is not Task.reshape:
        return None
    if any(kind(field.kind).is_media for field in task.schema(product.data.input, []).inputs):
        return None
    found = [table.portable() for table in source.tables]
    tables = [table for table in found if table is not None]
    return tables if len(tables) == len(found) else None


def stage_shard(job: ShardJob) -> Path:
    """Stage one file, and return the folder of the part."""
    source = Source(job.table.name, (job.table,))
    place = source.place(BlobStore(job.folder, job.base), job.base)
    corrections = open_corrections(job.product, job.base)
    with whole_folder(job.folder) as folder, Quarantine(folder / LISTED) as quarantine:
        with TableWriter(folder / PART, staged_columns(job.formats.schema)) as table:
            intake = RowIngestor(job.product, job.task, job.formats, table, quarantine, corrections)
            for row in read_rows(source, needed_columns(job.product, job.task)):
                intake.add(row, job.own, place)
                note(job.before + intake.rows)
        intake.save(folder)
        (folder / NOTES).write_text(json.dumps(dict(job.table.notes)), encoding="utf-8")
    return job.folder


def stage_shards(
    source: Source, tables: Sequence[Table], own: bool, intake: RowIngestor, parts: Parts, engine: Engine
) -> Iterator[tuple[str, int]]:
    """Stage the files of a source as jobs of an engine and join them; yield (name, rows seen) of each.

    tables: what `portable` returns.
    """
    first = len(list(parts.folder.iterdir()))

    def jobs() -> Iterator[ShardJob]:
        for number, table in enumerate(tables, first):
            place = parts.folder / f"{number:06d}"
            yield ShardJob(
                parts.product, parts.base, parts.task, parts.formats, table, own, place, intake.rows
            )

    # One file gains nothing from another process.
    engine = engine if len(tables) > 1 else LocalEngine()
    staged = engine.map(stage_shard, jobs(), Resources(memory_mb=_MEMORY_MB, of="data"))
    for table, part in zip(source.tables, staged, strict=True):
        seen = intake.rows
        intake.join(part)
        parts.quarantine.join(part / LISTED)
        table.notes = json.loads((part / NOTES).read_text(encoding="utf-8"))
        note(intake.rows)
        yield table.name, intake.rows - seen
