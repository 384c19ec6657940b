"""Prepare a product's data: read, check, deduplicate and split into tables on disk.

The source is read once, row by row; only hashes stay in memory. A second pass over the staged table writes
the rows that are kept to their side. What is left out is listed in quarantine.jsonl.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import BlobStore
from rung.core.certificate_lock import CertificateLock
from rung.core.engine import Engine
from rung.core.errors import DataError
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import CellFormat, Dataset, Schema
from rung.data.labels.corrections import open_corrections
from rung.data.labels.overlay import Overlay, open_overlay
from rung.data.prepare.cast import count_cells, unreadable, unusable_columns
from rung.data.prepare.column_formats import SourceFormats, decide_formats, shown_formats
from rung.data.prepare.enough_rows import (
    NO_LABELS,
    require_certification,
    require_rows,
    require_training,
)
from rung.data.prepare.feedback_rows import certifying, feedback_facts, own_keys, split_with_feedback
from rung.data.prepare.fingerprint import fingerprint_data, sources
from rung.data.prepare.hash_ranges import distinct, listed_in
from rung.data.prepare.ingest import RowIngestor, column_roles
from rung.data.prepare.keys import CERTIFICATION, TRAIN, Keys
from rung.data.prepare.near_duplicates import near_duplicate_rows
from rung.data.prepare.over_time import require_blocks, resampling_units
from rung.data.prepare.quarantine import Quarantine
from rung.data.prepare.respelled import link_respelled, sketch_rows
from rung.data.prepare.side_tables import write_side_tables
from rung.data.prepare.split import SplitSides, decide, freeze
from rung.data.prepare.staging import Staging, stage_rows
from rung.data.prepare.write_sides import STAGED, TABLES, write_sides
from rung.data.sources.read import Source
from rung.engines.local import LocalEngine


def prepare(
    product: Product,
    base: Path,
    task: Task,
    lock: CertificateLock,
    folder: Path,
    engine: Engine | None = None,
) -> Dataset:
    """Read, check, deduplicate and split the product's data into tables below `folder`.

    engine: where files are read, each as a job; by default in this process. The tables do not depend on it, nor on how the
    rows are cut into files. Raises DataError when a column is missing, or too little is left to train or to certify.
    """
    found = sources(product, base)
    overlay = open_overlay(product, base)
    _require_columns(found, product, task, overlay is not None)
    schema = (formats := decide_formats(found[0][0], product, task, lock)).schema
    store, jobs = BlobStore(folder, base), None if overlay else engine or LocalEngine()
    with Quarantine(folder / "quarantine.jsonl") as quarantine:
        staging = Staging(product, base, task, formats, store, quarantine, folder / STAGED, jobs)
        with staging.table() as table:
            kept = (table, quarantine, open_corrections(product, base), overlay)
            intake = RowIngestor(product, task, formats, *kept)
            marks, numbered = stage_rows(found, intake, staging)
        keys = intake.keys()
        require_rows(keys, intake, quarantine.counts, product, overlay is None)
        sides, audit = _split(own_keys(keys, marks), product, base, task, lock, overlay)
        units = resampling_units(keys, sides.rule, f"{product.data.identity} -> {product.data.target}")
        require_blocks(units[: marks.base][sides.side == CERTIFICATION], sides.rule, found[0][0].name)
        sides = split_with_feedback(sides, keys, marks, lock)
        sides = _without_near_duplicates(sides, keys, (folder / STAGED, schema, store), task, product)
        keys = replace(keys, unit=units)
        names = list(intake.targets)
        final, unread = _described(folder / STAGED, formats, task, sides, (keys, names, product))
        tables = (sides, keys, names, copies := sides.copies(keys), (quarantine, numbered))
        corrected = write_sides(folder, (schema, final), *tables)
        sketch = sketch_rows(folder / STAGED, schema, keys, sides.side)
    shutil.rmtree(folder / STAGED)
    store.save()
    if numbered is not None:
        numbered.save(folder)
    training = _training(sides, keys, names)
    _require_sides(sides, training, (product, task, audit), found[0][0].name)
    freeze(sides, lock)
    facts = {
        **_counts(sides, keys),
        "quarantined": dict(sorted(quarantine.counts.items())),
        "labels": dict(task.label_counts(training) or (training if final.classes else {})),
        **intake.facts(sides.side == TRAIN),
        "corrected": corrected,
        "repeated": _repeated(copies[sides.side == TRAIN], product.repeats),
        "audit": audit,  # Only where people label: how far the random rows that certify have come.
        "unreadable": unread,
        "respelled": link_respelled(lock, sketch, keys.unit[sides.side == CERTIFICATION]),
        **_reading_facts(found, product, task, (formats, final), intake, sides),
        "schema": final.as_dict(),
        "tables": _tables(sides.side),
        **feedback_facts(product, sides.side, marks),
    }
    return dataset_from(folder, facts)


def _require_sides(
    sides: SplitSides,
    training: dict[str, int],
    asked: tuple[Product, Task, dict[str, Any] | None],
    where: str,
) -> None:
    """Raise DataError when too little is left to train or to certify. asked: product, task, and how far an audit has come."""
    product, task, audit = asked
    require_training(sides, product)
    task.check(training, where)
    if audit is None or audit["wanted"] == audit["done"]:
        require_certification(sides, product)


def _reading_facts(
    found: list[tuple[Source, bool]],
    product: Product,
    task: Task,
    formats: tuple[SourceFormats, Schema],
    intake: RowIngestor,
    sides: SplitSides,
) -> dict[str, Any]:
    """Return how the data was read: what was decided for a column, and what was left out or mended."""
    before, final = formats
    tables = (table for source, _ in found for table in source.tables)
    return {
        "encoding": _encodings(found),
        "formats": shown_formats(final, before, product),  # Decided once, and the same wherever it serves.
        "columns_left_out": unusable_columns(found[0][0], product, task),
        "without_group": int((intake.alone & (sides.side >= 0)).sum()) if product.data.group else 0,
        "missing_words": dict(intake.missing_words),
        "settled": dict(intake.settled),
        "dialects": {table.name: dict(table.notes) for table in tables if table.notes},
    }


def prepare_once(
    product: Product,
    base: Path,
    task: Task,
    lock: CertificateLock,
    fingerprint: str,
    folder: Path,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """Return the facts of `prepare`; raises DataError when the sources are not, or no longer, those of a fingerprint."""
    facts = dict(prepare(product, base, task, lock, folder, engine).facts)
    facts |= write_side_tables(product, base, folder)
    if fingerprint_data(product, base) != fingerprint:
        fix = "Wait until it is written, or build from a copy."
        raise DataError("the data changed while it was read", ", ".join(map(str, product.data.paths)), fix)
    return facts


def _tables(side: npt.NDArray[np.int8]) -> dict[str, str]:
    """Return table -> its file, of those that have rows; training rows there are always."""
    return {
        name: f"{name}.parquet" for which, name in TABLES.items() if which == TRAIN or (side == which).any()
    }


def _encodings(found: list[tuple[Source, bool]]) -> dict[str, str]:
    """Return table -> its character encoding, where it has one."""
    return {table.name: table.encoding for source, _ in found for table in source.tables if table.encoding}


def dataset_from(folder: Path, facts: dict[str, Any]) -> Dataset:
    """Return the handle of a prepared folder."""
    return Dataset(folder, Schema.from_dict(facts["schema"]), facts["tables"], facts)


def _split(
    keys: Keys, product: Product, base: Path, task: Task, lock: CertificateLock, overlay: Overlay | None
) -> tuple[SplitSides, dict[str, Any] | None]:
    """Return the sides of the rows, and how far the audit of those that people label has come."""
    if overlay is None:
        return decide(keys, product, base, lock, task.repeats_are_copies, task.unit), None
    overlay.zones(lock)  # Frozen by all rows, not by those that have labels.
    return overlay.finish(decide(keys, product, base, lock, task.repeats_are_copies, task.unit), keys, lock)


def _without_near_duplicates(
    sides: SplitSides, keys: Keys, table: tuple[Path, Schema, BlobStore], task: Task, product: Product
) -> SplitSides:
    """Return the sides without near duplicates of the other side; over time, cases that only look alike all count."""
    if product.data.near_duplicates == "keep" or (sides.is_over_time and not task.repeats_are_copies):
        return sides
    staged, schema, store = table
    copies = near_duplicate_rows(staged, schema, certifying(sides.side), store, sides.is_over_time)
    return sides.without(copies, keys)


def _counts(sides: SplitSides, keys: Keys) -> dict[str, Any]:
    """Return how many rows train, how many certify, and both together; how that was decided, and over which groups."""
    train, certification = (int((sides.side == side).sum()) for side in (TRAIN, CERTIFICATION))
    counts = {"used": train + certification, "train": train, "certification": certification}
    return counts | {"split": sides.rule, "groups": _counted(keys, sides)}


def _counted(keys: Keys, sides: SplitSides) -> dict[str, int]:
    """Return how many units certify, and how many of them have no rows that train; of grouped rows, how many name no group."""
    certify, train = (distinct(keys.unit, sides.side == side) for side in (CERTIFICATION, TRAIN))
    found = {"certify": len(certify), "new": int((~listed_in(certify, train)).sum())}
    if keys.grouped and keys.alone is not None:
        for name, side in (("train", TRAIN), ("certification", CERTIFICATION)):
            found[f"ungrouped_{name}"] = int((keys.alone & (sides.side == side)).sum())
    return found


def _training(sides: SplitSides, keys: Keys, names: list[str]) -> dict[str, int]:
    """Return target -> training rows."""
    counts = np.bincount(keys.target[sides.side == TRAIN], minlength=len(names)).tolist()
    return {name: count for name, count in zip(names, counts, strict=True) if count}


def _described(
    staged: Path,
    formats: SourceFormats,
    task: Task,
    sides: SplitSides,
    known: tuple[Keys, list[str], Product],
) -> tuple[Schema, dict[str, int]]:
    """Return the schema with what training rows show, and how many cells of each column cannot be read.

    Rows with such a cell are left out on both sides: a served model refuses them too.
    """
    keys, names, product = known
    schema = formats.schema
    training = _training(sides, keys, names)
    plain = task.schema(product.data.input, list(training))
    target = replace(plain.outputs[0], form=formats.target.form, format=formats.target.format)
    plain = replace(plain, outputs=(target, *plain.outputs[1:]))
    cells = count_cells(staged, schema, sides.side == TRAIN)
    costs = product.costs.model_dump(exclude_none=True) if product.costs else {}
    final = _with_formats(task.described(plain, training, cells, costs))
    final = task.with_writing(final, product.writing)
    unread = unreadable(staged, final, schema)
    if unread is None:
        return final, {}
    sides.side[unread.bad & (sides.side >= 0)] = -8
    sides.side[unread.empty & (sides.side >= 0)] = -9
    return final, unread.counts


def _with_formats(schema: Schema) -> Schema:
    """Return the schema with a format in each field: how version 0.1 read cells is for its own bundles."""
    fields = (field if field.format else replace(field, format=CellFormat()) for field in schema.inputs)
    return replace(schema, inputs=tuple(fields))


def _require_columns(found: list[tuple[Source, bool]], product: Product, task: Task, labelled: bool) -> None:
    for source, own in found:
        for _, error in missing_columns(source, product, task, own, labelled):
            raise error


def missing_columns(
    source: Source, product: Product, task: Task, own: bool, labelled: bool
) -> Iterator[tuple[str, DataError]]:
    """Yield (key of the spec, error) of each column that a source lacks. own: it has the certification rows; labelled: people gave labels."""
    data = product.data
    needed = task.source_columns(column_roles(product))
    wanted = [(column, "data.input") for column in needed if column != data.target]
    if data.target in needed and (own or not labelled):
        wanted.append((data.target, "data.target"))
    if data.group:
        wanted.append((data.group, "data.group"))
    if data.time and not own:
        wanted.append((data.time, "data.time"))
    for column, key in wanted:
        try:
            source.require(column, key)
        except DataError as error:
            fix = error.fix if own or key != "data.target" else f"{error.fix} {NO_LABELS}"
            yield key, DataError(error.problem, error.where, fix)


def _repeated(copies: npt.NDArray[np.int64], least: int) -> float:
    """Return the share of the training side's rows, repeats counted, whose text stood there at least so often."""
    often = copies[copies >= least] if least else copies[:0]
    return round(float(often.sum() / max(copies.sum(), 1)), 4)
