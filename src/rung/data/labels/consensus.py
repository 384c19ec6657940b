"""Reduce the entries of a label store to one verdict per text, with pure functions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rung.data.labels.store import LABEL, SETTLE, SKIP, UNCLEAR, UNDO, Entry

# What a person says of a text that no label fits or that cannot be told; no label can be called so.
CANNOT = ""


@dataclass
class Verdict:
    """What people said of one text. said: author -> label, or CANNOT. settled: what settled a disagreement.

    first: number of the first line that labelled it: the order of learning. how, inclusion: of that line.
    skipped: who put it off and has not come back to it.
    """

    text: str
    file: str
    row: int
    said: dict[str, str] = field(default_factory=dict)
    settled: str | None = None
    first: int = 0
    how: str = "given"
    inclusion: float | None = None
    skipped: set[str] = field(default_factory=set)

    @property
    def answer(self) -> str | None:
        """Return the label that stands, CANNOT, or None when nobody spoke or people disagree."""
        if self.settled is not None:
            return self.settled
        spoken = set(self.said.values())
        return spoken.pop() if len(spoken) == 1 else None

    @property
    def disagree(self) -> bool:
        return self.settled is None and len(set(self.said.values())) > 1


def number_text(value: Any) -> str | None:
    """Return a number as people's answers keep it, the same text for the same number; None for what is no finite one."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return f"{found + 0.0:.12g}" if math.isfinite(found) else None


def verdicts(entries: Iterable[Entry]) -> dict[str, Verdict]:
    """Return text hash -> verdict. A later word of the same person replaces an earlier one; an undone line counts as never
    written, so that the word before it holds again."""
    entries = list(entries)
    undone = {entry.of for entry in entries if entry.kind == UNDO}
    found: dict[str, Verdict] = {}
    for entry in entries:
        if entry.kind == UNDO or entry.id in undone:
            continue
        verdict = found.setdefault(entry.text, Verdict(entry.text, entry.file, entry.row))
        if entry.kind == SKIP:
            verdict.skipped.add(entry.author)
            continue
        word = CANNOT if entry.kind == UNCLEAR or entry.label is None else entry.label
        if not verdict.said and verdict.settled is None:
            verdict.first, verdict.how, verdict.inclusion = entry.id, entry.how, entry.inclusion
        if entry.kind in {LABEL, UNCLEAR}:
            verdict.said[entry.author] = word
            verdict.skipped.discard(entry.author)
        elif entry.kind == SETTLE:
            verdict.settled = word
    return found


def digest(found: dict[str, Verdict]) -> str:
    """Return a hash of every answer that stands: a run folder belongs to one state of the labels."""
    lines = sorted(
        f"{text} {verdict.answer!r} {verdict.disagree}"
        for text, verdict in found.items()
        if verdict.said or verdict.settled is not None
    )
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def last_by(entries: Iterable[Entry], author: str) -> Entry | None:
    """Return the latest line of a person that can be undone: not an undo, not undone yet."""
    entries = list(entries)
    undone = {entry.of for entry in entries if entry.kind == UNDO}
    own = [e for e in entries if e.author == author and e.kind != UNDO and e.id not in undone]
    return own[-1] if own else None
