"""The rows that can be labelled, read exactly as a build reads them."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rung.core.blobs import BlobStore
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import DataError
from rung.core.kind import kind
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.data.labels.audit_sample import CHOSEN, Zones, zones_for
from rung.data.labels.corrections import Corrections
from rung.data.prepare.column_formats import SourceFormats, decide_formats
from rung.data.prepare.ingest import RowIngestor, column_roles, needed_columns
from rung.data.prepare.quarantine import Quarantine
from rung.data.sources.read import Source, open_source, read_rows
from rung.data.sources.rows import Reading

# More rows than this to choose from make choosing slow and no better; which ones is up to their hash.
MOST_CHOSEN = 20_000
LEAST_ROWS = 50
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class PoolRow:
    """A row to label. text, unit: hashes; cells: what people read, by column; zone: see `data.labels.audit_sample`; given: the label
    that stands in the file, if any."""

    text: str
    unit: int
    file: str
    row: int
    cells: Mapping[str, Any]
    zone: int
    given: str | None = None

    def joined(self) -> str:
        """Return all cells as one text, as models read it."""
        return "\n".join(str(cell) for cell in self.cells.values() if cell is not None)


AnswerKind = Literal["label", "number", "text", "boxes"]


@dataclass(frozen=True)
class Pool:
    """Rows of different texts. Those of the audit and random zones stand first, in the order of the hash line.

    units, texts: different ones in all of the data, also where it has more rows than can be chosen from. answer_kind:
    "label": one of labels; "number": any number, written as `data.labels.consensus.number_text` writes it; "text": any
    text; "boxes": any number of boxes, each with one of labels. labels is empty for a number and a text.
    """

    rows: tuple[PoolRow, ...]
    zones: Zones
    units: int
    texts: int
    labels: Mapping[str, str]
    answer_kind: AnswerKind = "label"

    def by_text(self) -> dict[str, int]:
        """Return text hash -> place in `rows`."""
        return {row.text: place for place, row in enumerate(self.rows)}


class _Passing:
    """Sits where a build has its labels and its table, and looks at each usable row as it passes."""

    def __init__(self, seen: Callable[[int, int, Any, Sequence[Any]], None], stand_in: str) -> None:
        """stand_in: a target for rows that have none, so that they pass."""
        self._seen, self._stand_in = seen, stand_in
        self._now: tuple[int, int, Any] = (0, 0, None)

    def target(self, text: int, unit: int, target: Any) -> tuple[Any, str]:
        self._now = (text, unit, target)
        return (target if target is not None else self._stand_in), ""

    def add(self, values: Sequence[Any]) -> None:
        self._seen(*self._now, values)


def read_pool(product: Product, base: Path, task: Task, lock: CertificateLock) -> Pool:
    """Return the rows of a product that people may be asked about; freezes its zones in certificate.lock.

    The source is read twice, so that only rows that can be asked about are held. Raises DataError when there are
    fewer than 50, RunError for a product that certifies by time.
    """
    if product.labelling is None:
        raise ValueError("the product has no labelling section")
    data = product.data
    source = open_source(data.paths, Reading.of(data, data.encoding), base)
    for column in data.input:
        source.require(column, "data.input")
    schema = task.schema(data.input, [])
    answer_kind: AnswerKind = "boxes" if schema.outputs[0].kind == "boxes" else "label"
    store = BlobStore(base, base)
    texts, units = array("Q"), array("Q")

    def note(text: int, unit: int, target: Any, values: Sequence[Any]) -> None:
        texts.append(text)
        units.append(unit)

    formats = decide_formats(source, product, task, lock)
    _read(source, (product, store), task, formats, note)
    every = np.unique(np.frombuffer(texts, "u8")) if len(texts) else np.zeros(0, np.uint64)
    if len(every) < LEAST_ROWS:
        raise DataError(
            f"{len(every)} different rows can be used; with fewer than {LEAST_ROWS} there is nothing to choose from",
            data.shown,
            "Collect more rows, or write the labels into the file.",
        )
    zones = zones_for(product, lock, len(np.unique(np.frombuffer(units, "u8"))))
    share = MOST_CHOSEN / len(every)
    found: dict[str, PoolRow] = {}

    def keep(text: int, unit: int, target: Any, values: Sequence[Any]) -> None:
        key = f"{text:016x}"
        zone = int(zones.of(np.array([unit], np.uint64))[0])
        before = found.get(key)
        # A text that stands in several units (groups, or texts that mend to the same) is asked about as the strictest
        # of them asks: where one of them certifies, no guess is shown.
        if before is not None and (zone, unit) >= (before.zone, before.unit):
            return
        if zone != CHOSEN or _lucky(text) < share:
            cells = {
                f.name: kind(f.kind).from_cell(c, store)
                for f, c in zip(schema.inputs, values[3:], strict=True)
            }
            given = _given(target, product, answer_kind)
            found[key] = PoolRow(key, unit, str(values[0]), int(values[1]), cells, zone, given)

    _read(source, (product, store), task, formats, keep)
    rows = sorted(found.values(), key=lambda row: (row.zone, row.unit if row.zone != CHOSEN else 0, row.text))
    found_units = len(np.unique(np.frombuffer(units, "u8")))
    return Pool(tuple(rows), zones, found_units, len(every), product.labelling.labels, answer_kind)


def _given(target: Any, product: Product, answer_kind: AnswerKind) -> str | None:
    """Return what stands in the file as people would answer it, None for nothing."""
    if answer_kind == "boxes":
        return None if target is None else json.dumps(kind("boxes").to_json(target), ensure_ascii=False)
    return target if product.labelling and target in product.labelling.labels else None


def _read(
    source: Source,
    located: tuple[Product, BlobStore],
    task: Task,
    formats: SourceFormats,
    seen: Callable[[int, int, Any, Sequence[Any]], None],
) -> None:
    """Show every usable row to `seen`. The store learns where the media lie: cells are resolved in it."""
    product, store = located
    passing = _Passing(seen, "[]" if formats.target.kind == "boxes" else "?")
    place = source.place(store, store.base)
    with Quarantine(Path(os.devnull)) as nowhere:
        intake = RowIngestor(product, task, formats, passing, nowhere, Corrections([]), passing)
        for row in task.reshape(read_rows(source, needed_columns(product, task)), column_roles(product)):
            intake.add(row, False, place)


def _lucky(text: int) -> float:
    """Return a number in [0, 1) that has nothing to do with a row's place on the hash line."""
    mixed = (int(text) * int(_MIX)) & (2**64 - 1)
    mixed ^= mixed >> 29
    return ((mixed * 0xBF58476D1CE4E5B9) & (2**64 - 1)) / 2.0**64
