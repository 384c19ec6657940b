"""Compute the text and unit hashes of served rows as a build would."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.blobs import MemoryStore
from rung.core.certificate_lock import CertificateLock
from rung.core.source_place import SourcePlace
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Row
from rung.data.labels.corrections import Corrections
from rung.data.prepare.column_formats import SourceFormats, is_split_of_v1
from rung.data.prepare.ingest import RowIngestor
from rung.data.prepare.quarantine import Quarantine


@dataclass(frozen=True)
class Known:
    """text, unit: hashes, 16 hex digits each."""

    text: str
    unit: str


class _Passing:
    """Sits where a build has its labels and its table, and notes whose row passes."""

    def __init__(self) -> None:
        self.now: tuple[int, int] = (0, 0)
        self.found: dict[str, Known] = {}

    def target(self, text: int, unit: int, target: Any) -> tuple[Any, str]:
        self.now = (text, unit)
        return "?", ""

    def add(self, values: Sequence[Any]) -> None:
        self.found[str(values[0])] = Known(*(f"{number:016x}" for number in self.now))


def identify(
    rows: Iterable[tuple[str, Mapping[str, Any]]], product: Product, task: Task, lock: CertificateLock
) -> dict[str, Known]:
    """Return name -> what the row is known by; rows that a build would leave out are not in it.

    rows: (name, inputs). The product names its inputs (`data.typed.with_inputs`). A served row without the column of groups is one of
    its own.
    """
    passing = _Passing()
    schema = task.schema(product.data.input, [])
    formats = SourceFormats(schema, is_v1=is_split_of_v1(product, lock))
    # Rows are served in no period of the data.
    plain = product.model_copy(update={"data": product.data.model_copy(update={"time": None})})
    place = SourcePlace(MemoryStore())
    with Quarantine(Path(os.devnull)) as nowhere:
        intake = RowIngestor(plain, task, formats, passing, nowhere, Corrections([]), passing)
        for number, (name, inputs) in enumerate(rows, 1):
            intake.add(Row(name, number, dict(inputs)), False, place)
    return passing.found
