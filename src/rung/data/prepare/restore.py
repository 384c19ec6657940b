"""List excluded rows again with their text, read from the source."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rung.core.blobs import BlobStore
from rung.core.errors import RunError
from rung.core.kind import kind
from rung.core.source_place import SourcePlace
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.core.types import Row
from rung.data.prepare.cleaning_log import cleaning_pipeline
from rung.data.prepare.fingerprint import sources
from rung.data.prepare.hashing import hash64
from rung.data.prepare.ingest import column_roles, needed_columns, parse_inputs
from rung.data.prepare.side_tables import with_users
from rung.data.sources.read import read_rows

State = Literal["found", "changed", "unreadable", "gone"]
_Left = tuple[str, str, str]


@dataclass(frozen=True)
class Restored:
    """A row that was left out. values: its cells, when it is found.

    state: found as it was; changed: another row stands there now; unreadable: there it is, but no reader can
    take it apart; gone: the source has no such row any more.
    """

    file: str
    row: int
    reason: str
    detail: str
    state: State
    values: dict[str, Any] = field(default_factory=dict)


def restore(
    product: Product, base: Path, task: Task, data: Path, reasons: Collection[str] = ()
) -> Iterator[Restored]:
    """Yield the rows that the prepared folder `data` lists as left out, in the order of the source.

    reasons: of these only; all of them by default. Raises RunError when there is no such list or no such reason.
    """
    listed = _listed(data / "quarantine.jsonl", reasons)
    for source, _ in sources(product, base):
        same = _Same(product, task, source.place(BlobStore(base, base), base))
        roles = with_users(column_roles(product), product, base)
        for row in task.reshape(read_rows(source, needed_columns(product, task)), roles):
            left = listed.pop((row.file, row.number), None)
            if left is not None:
                yield _restored(row, left, same)
    for (file, number), (reason, detail, _) in listed.items():
        yield Restored(file, number, reason, detail, "gone")


def _listed(path: Path, reasons: Collection[str]) -> dict[tuple[str, int], _Left]:
    if not path.is_file():
        raise RunError("no build has prepared data here", str(path.parent), "rung build product.yaml")
    listed: dict[tuple[str, int], _Left] = {}
    known: set[str] = set()
    with path.open(encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            known.add(line["reason"])
            if not reasons or line["reason"] in reasons:
                listed[line["file"], line["row"]] = (line["reason"], line["detail"], line["hash"])
    wrong = [reason for reason in reasons if reason not in known]
    if wrong:
        there = ", ".join(sorted(known)) or "nothing was left out"
        raise RunError(f"no row was left out for '{wrong[0]}'", str(path), f"There are: {there}.")
    return listed


class _Same:
    """Tells whether a row is the one that was left out: by any of the hashes that a build may have listed."""

    def __init__(self, product: Product, task: Task, place: SourcePlace) -> None:
        self._key = task.dedup_key
        self._fields = [(f.name, kind(f.kind)) for f in task.schema(product.data.input, []).inputs]
        self._prose = [name for name, known in self._fields if known.is_prose]
        self._place = place
        self._chain = cleaning_pipeline(product, task)

    def __call__(self, row: Row, wanted: str) -> bool:
        if row.values is None:
            return f"{row.hash:016x}" == wanted
        inputs, _ = parse_inputs(self._fields, row.values, self._place.at(row.folder))
        mended = self._chain.apply(inputs, self._prose).values
        raw = json.dumps(row.values, ensure_ascii=False, default=str)
        hashes = (hash64(raw), hash64(self._key(inputs)), hash64(self._key(mended)))
        return wanted in {f"{number:016x}" for number in hashes}


def _restored(row: Row, left: _Left, same: _Same) -> Restored:
    reason, detail, wanted = left
    if not same(row, wanted):
        return Restored(row.file, row.number, reason, detail, "changed")
    if row.values is None:
        return Restored(row.file, row.number, reason, detail, "unreadable")
    return Restored(row.file, row.number, reason, detail, "found", row.values)
