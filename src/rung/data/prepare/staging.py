"""Stage the rows of a product's sources: file by file as jobs of an engine where files can be read apart, else one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rung.core.activity import doing, note
from rung.core.blobs import BlobStore
from rung.core.engine import Engine
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.data.prepare.column_formats import SourceFormats
from rung.data.prepare.feedback_rows import FeedbackRange, stage
from rung.data.prepare.ingest import RowIngestor, column_roles, needed_columns, staged_columns
from rung.data.prepare.parquet import PART, TableWriter
from rung.data.prepare.quarantine import Quarantine
from rung.data.prepare.row_places import RowPlaces
from rung.data.prepare.shards import Parts, portable, stage_shards
from rung.data.prepare.side_tables import with_users
from rung.data.sources.read import Source, read_rows

# Sorts behind the numbers of the parts that jobs make: what is staged in this process comes last.
_DIRECT = "direct"
Found = list[tuple[Source, bool]]


@dataclass(frozen=True, eq=False)
class Staging:
    """What staging needs beside the sources. folder: holds the parts; engine: None where labels of people decide as rows come."""

    product: Product
    base: Path
    task: Task
    formats: SourceFormats
    store: BlobStore
    quarantine: Quarantine
    folder: Path
    engine: Engine | None

    def table(self) -> TableWriter:
        """Return where rows are staged that this process reads itself."""
        place = self.folder / _DIRECT
        place.mkdir(parents=True)
        return TableWriter(place / PART, staged_columns(self.formats.schema))


def stage_rows(found: Found, intake: RowIngestor, staging: Staging) -> tuple[FeedbackRange, RowPlaces | None]:
    """Stage all rows; return where those begin that feedback brings, and how rows are numbered through all files.

    None where rows keep the numbers that they have in their files: of sources that are no files of rows.
    """
    counts = [table.known_rows() for source, _ in found for table in source.tables]
    with doing("read", sum(counts) if all(counts) else 0):
        seen = _as_jobs(found, intake, staging) if staging.engine else None
        if seen is None:
            _in_order(found, intake, staging)
    marks = stage(staging.product, staging.base, intake, staging.store)
    if seen is None:
        return marks, None
    names, rows = zip(*seen, *marks.files, strict=True)
    return marks, RowPlaces(names, rows) if len(set(names)) == len(names) else None


def _as_jobs(found: Found, intake: RowIngestor, staging: Staging) -> list[tuple[str, int]] | None:
    """Return (file, rows) of all files; None where they cannot be read apart."""
    parts = Parts(
        staging.product,
        staging.base.resolve(),
        staging.task,
        staging.formats,
        staging.folder.resolve(),
        staging.quarantine,
    )
    apart = [portable(source, staging.product, staging.task) for source, _ in found]
    seen: list[tuple[str, int]] = []
    for (source, own), tables in zip(found, apart, strict=True):
        if tables is None or None in apart or staging.engine is None:
            return None
        seen += stage_shards(source, tables, own, intake, parts, staging.engine)
    return seen


def _in_order(found: Found, intake: RowIngestor, staging: Staging) -> None:
    """Stage rows one after the other, reshaped as the task wants them."""
    product, base = staging.product, staging.base
    for source, own in found:
        place, roles = source.place(staging.store, base), with_users(column_roles(product), product, base)
        for row in staging.task.reshape(read_rows(source, needed_columns(product, staging.task)), roles):
            intake.add(row, own, place)
            note(intake.rows)
        intake.settled.update(roles.notes)
