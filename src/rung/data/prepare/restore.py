"""Rows that a build left out, with their text again: fetched from the source, never from the run."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rung.core.errors import RunError
from rung.core.spec.product import Product
from rung.core.task import Task
from rung.data.prepare.cleaning_log import chain_of
from rung.data.prepare.hashing import hash64
from rung.data.prepare.prepare import sources
from rung.data.sources.read import read_rows
from rung.data.sources.rows import Row

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
    same = _Same(product, task)
    for source, _ in sources(product, base):
        for row in read_rows(source):
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

    def __init__(self, product: Product, task: Task) -> None:
        self._fold = task.fold
        self._names = product.data.input
        self._chain = chain_of(product, task)

    def __call__(self, row: Row, wanted: str) -> bool:
        if row.values is None:
            return f"{row.hash:016x}" == wanted
        inputs = {name: row.values.get(name) for name in self._names}
        texts = {name: value if value is None else str(value) for name, value in inputs.items()}
        mended = self._chain.apply(texts, self._names).values
        raw = json.dumps(row.values, ensure_ascii=False, default=str)
        hashes = (hash64(raw), hash64(self._fold(texts)), hash64(self._fold(mended)))
        return wanted in {f"{number:016x}" for number in hashes}


def _restored(row: Row, left: _Left, same: _Same) -> Restored:
    reason, detail, wanted = left
    if not same(row, wanted):
        return Restored(row.file, row.number, reason, detail, "changed")
    if row.values is None:
        return Restored(row.file, row.number, reason, detail, "unreadable")
    return Restored(row.file, row.number, reason, detail, "found", row.values)
