"""Prepare a product's data: read, check, deduplicate and split into tables on disk.

The source is read once, row by row; only hashes stay in memory. A second pass over the staged table writes
the rows that are kept to their side. What is left out is listed in quarantine.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.activity import doing, note
from rung.core.blobs import BlobStore
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import DataError
from rung.core.kind import kind
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import CellFormat, Dataset, Schema
from rung.data.labels.corrections import Corrections, read_corrections
from rung.data.labels.overlay import Overlay, open_overlay
from rung.data.prepare.cast import count_cells, is_typed, parse_column, unreadable, unusable_columns
from rung.data.prepare.column_formats import SourceFormats, decide_formats, shown_formats
from rung.data.prepare.enough_rows import (
    NO_LABELS,
    require_certification,
    require_rows,
    require_training,
)
from rung.data.prepare.feedback_rows import (
    certifying,
    feedback_facts,
    own_keys,
    split_with_feedback,
    stage,
)
from rung.data.prepare.fingerprint import fingerprint_data, sources
from rung.data.prepare.ingest import RowIngestor, column_roles, needed_columns, staged_columns
from rung.data.prepare.keys import CERTIFICATION, HELD, TRAIN, Keys
from rung.data.prepare.near_duplicates import near_duplicate_rows
from rung.data.prepare.over_time import require_blocks, resampling_units
from rung.data.prepare.parquet import TableWriter, row_groups
from rung.data.prepare.quarantine import Quarantine
from rung.data.prepare.respelled import link_respelled, sketch_rows
from rung.data.prepare.side_tables import with_users, write_side_tables
from rung.data.prepare.split import SplitSides, decide, freeze
from rung.data.sources.read import Source, read_rows

_STAGED = "staged.parquet"
_TABLES = {TRAIN: "train", CERTIFICATION: "certification", HELD: "held"}


def prepare(product: Product, base: Path, task: Task, lock: CertificateLock, folder: Path) -> Dataset:
    """Read, check, deduplicate and split the product's data into tables below `folder`.

    Raises DataError when a column is missing, or too little is left to train or to certify.
    """
    found = sources(product, base)
    overlay = open_overlay(product, base)
    _require_columns(found, product, task, overlay is not None)
    schema = (formats := decide_formats(found[0][0], product, task, lock)).schema
    corrections = Corrections(read_corrections(base / named) if (named := product.data.corrections) else [])
    store = BlobStore(folder, base)
    with Quarantine(folder / "quarantine.jsonl") as quarantine:
        with TableWriter(folder / _STAGED, staged_columns(schema)) as table:
            intake = RowIngestor(product, task, formats, table, quarantine, corrections, overlay)
            _stage_rows(found, task, intake, store, located=(product, base))
            marks = stage(product, base, intake, store)
        keys = intake.keys()
        require_rows(keys, intake, quarantine.counts, product, overlay is None)
        sides, audit = _split(own_keys(keys, marks), product, base, task, lock, overlay)
        units = resampling_units(keys, sides.rule, f"{product.data.identity} -> {product.data.target}")
        require_blocks(units[: marks.base][sides.side == CERTIFICATION], sides.rule, found[0][0].name)
        sides = split_with_feedback(sides, keys, marks, lock)
        sides = _without_near_duplicates(sides, keys, (folder / _STAGED, schema, store), task, product)
        keys = replace(keys, unit=units)
        names = list(intake.targets)
        final, unread = _described(folder / _STAGED, formats, task, sides, (keys, names, product))
        copies = sides.copies(keys)
        corrected = _write_sides(folder, (schema, final), sides, keys, names, copies, quarantine)
        sketch = sketch_rows(folder / _STAGED, schema, keys, sides.side)
    (folder / _STAGED).unlink()
    store.save()
    require_training(sides, product)
    training = _training(sides, keys, names)
    task.check(training, found[0][0].name)
    if audit is None or audit["wanted"] == audit["done"]:
        require_certification(sides, product)
    freeze(sides, lock)
    facts = {
        "rows": intake.rows,
        **_counts(sides),
        "quarantined": dict(sorted(quarantine.counts.items())),
        "corrected": corrected,
        "corrections_unused": len(corrections) - len(corrections.used),
        "labels": dict(task.label_counts(training) or (training if final.classes else {})),
        "chars_per_row": intake.chars_per_row(sides.side == TRAIN),  # The plan orders rungs by it: a choice.
        "clean": intake.mended(sides.side == TRAIN),
        "repeated": _repeated(copies[sides.side == TRAIN], product.repeats),
        "encoding": _encodings(found),
        "split": sides.rule,
        "groups": _counted(keys, sides),
        "audit": audit,  # Only where people label: how far the random rows that certify have come.
        "unreadable": unread,
        "respelled": link_respelled(lock, sketch, keys.unit[sides.side == CERTIFICATION]),
        **_reading_facts(found, product, task, (formats, final), intake, sides),
        "schema": final.as_dict(),
        "tables": _tables(sides.side),
        **feedback_facts(product, sides.side, marks),
    }
    return dataset_from(folder, facts)


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
        "formats": shown_formats(final, before, product),  # Decided once, and the same wherever it serves.
        "columns_left_out": unusable_columns(found[0][0], product, task),
        "without_group": int((intake.alone & (sides.side >= 0)).sum()) if product.data.group else 0,
        "missing_words": dict(intake.missing_words),
        "settled": dict(intake.settled),
        "dialects": {table.name: dict(table.notes) for table in tables if table.notes},
    }


def _stage_rows(
    found: list[tuple[Source, bool]],
    task: Task,
    intake: RowIngestor,
    store: BlobStore,
    located: tuple[Product, Path],
) -> None:
    """Stage the rows of the product's own sources, reshaped as the task wants them."""
    product, base = located
    counts = [table.known_rows() for source, _ in found for table in source.tables]
    with doing("read", sum(counts) if all(counts) else 0):
        for source, own in found:
            place, roles = source.place(store, base), with_users(column_roles(product), product, base)
            for row in task.reshape(read_rows(source, needed_columns(product, task)), roles):
                intake.add(row, own, place)
                note(intake.rows)
            intake.settled.update(roles.notes)


def prepare_once(
    product: Product, base: Path, task: Task, lock: CertificateLock, fingerprint: str, folder: Path
) -> dict[str, Any]:
    """Return the facts of `prepare`; raises DataError when the sources are not, or no longer, those of a fingerprint."""
    facts = dict(prepare(product, base, task, lock, folder).facts)
    facts |= write_side_tables(product, base, folder)
    if fingerprint_data(product, base) != fingerprint:
        fix = "Wait until it is written, or build from a copy."
        raise DataError("the data changed while it was read", ", ".join(map(str, product.data.paths)), fix)
    return facts


def _tables(side: npt.NDArray[np.int8]) -> dict[str, str]:
    """Return table -> its file, of those that have rows; training rows there are always."""
    return {
        name: f"{name}.parquet" for which, name in _TABLES.items() if which == TRAIN or (side == which).any()
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


def _counts(sides: SplitSides) -> dict[str, int]:
    """Return how many rows train, how many certify, and both together."""
    train, certification = (int((sides.side == side).sum()) for side in (TRAIN, CERTIFICATION))
    return {"used": train + certification, "train": train, "certification": certification}


def _counted(keys: Keys, sides: SplitSides) -> dict[str, int]:
    """Return how many units certify, and how many of them have no rows that train; of grouped rows, how many name no group."""
    certify, train = (np.unique(keys.unit[sides.side == side]) for side in (CERTIFICATION, TRAIN))
    found = {"certify": len(certify), "new": len(np.setdiff1d(certify, train))}
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


def _write_sides(
    folder: Path,
    schemas: tuple[Schema, Schema],
    sides: SplitSides,
    keys: Keys,
    targets: list[str],
    copies: npt.NDArray[np.int64],
    quarantine: Quarantine,
) -> int:
    """Write the two tables from the staged one, in the order of the source; return how many labels were corrected.

    schemas: as staged, as described.
    """
    before, schema = schemas
    inputs = [f"input:{name}" for name in schema.input_names]
    fields = [f for f in schema.inputs if is_typed(f, before)]
    numbers = {f"input:{f.name}" for f in fields if kind(f.kind).is_number}
    spans = [] if keys.start is None else ["start"]
    columns = ["file", "row", "unit", "text", "time", *spans, "copies", "target", *inputs]
    begin = corrected = 0
    with ExitStack() as stack:
        wanted = [side for side in _TABLES if side != HELD or (sides.side == HELD).any()]
        tables = {
            side: stack.enter_context(TableWriter(folder / f"{_TABLES[side]}.parquet", columns, numbers))
            for side in wanted
        }
        for group in row_groups(folder / _STAGED):
            side = sides.side[begin : begin + len(group)]
            for which, table in tables.items():
                places = np.flatnonzero(side == which)
                if len(places):
                    kept = group.take(places)
                    units = [f"{unit:016x}" for unit in keys.unit[begin + places].tolist()]
                    ours: dict[str, Any] = {
                        "unit": units,
                        "text": [f"{text:016x}" for text in keys.text_hash[begin + places].tolist()],
                        "time": keys.when[begin + places],
                        "copies": copies[begin + places],
                    }
                    if keys.start is not None:
                        ours["start"] = keys.start[begin + places]
                    if which == TRAIN:
                        ours["target"] = [targets[number] for number in keys.target[begin + places].tolist()]
                        own = kept["target"].to_pylist()
                        corrected += sum(a != b for a, b in zip(ours["target"], own, strict=True))
                    ours |= {f"input:{f.name}": parse_column(f, kept[f"input:{f.name}"])[0] for f in fields}
                    table.add_columns(
                        {name: kept[name] for name in ("file", "row", "target", *inputs)} | ours
                    )
            left_out = np.flatnonzero(side < 0)
            where = group.select(["file", "row"]).take(left_out).to_pylist()
            for place, row in zip((begin + left_out).tolist(), where, strict=True):
                quarantine.add(row["file"], row["row"], sides.reason(place), int(keys.text_hash[place]))
            begin += len(group)
    return corrected
