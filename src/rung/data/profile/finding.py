"""The result of a data check: affected rows, counts, and the values of its message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["info", "warn", "stop"]
# Of one finding, so many rows are kept as evidence; files that list more are a check's own.
MOST_EVIDENCE = 200


@dataclass(frozen=True)
class Evidence:
    """A training row that shows it. note: what in the row shows it, such as its label. thumbnails: data URIs."""

    file: str
    row: int
    excerpt: str
    note: str = ""
    thumbnails: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        found = {"file": self.file, "row": self.row, "excerpt": self.excerpt, "note": self.note}
        return found | ({"thumbnails": list(self.thumbnails)} if self.thumbnails else {})


@dataclass(frozen=True)
class Finding:
    """What is wrong with the data, as a value.

    check: the file that found it. level: info to know, warn to look at, stop before anything is built on it.
    rows: how many rows it concerns, of so many looked at. values: what fills the words below
    `finding.<check>` in the catalogue (`what`, `cost`, `remedy`); `n` is always `rows`.
    table: more rows than evidence holds, for a file: one mapping a row, equal keys. accepted: the product's `accept` names
    it; its level is then warn.
    """

    check: str
    level: Level
    rows: int
    of: int
    values: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    table: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    accepted: bool = False

    @property
    def key(self) -> str:
        """Return what `accept` calls it: the check, and the column if it concerns one."""
        column = self.values.get("column")
        return f"{self.check}:{column}" if column else self.check

    def as_dict(self, most: int = MOST_EVIDENCE) -> dict[str, Any]:
        """Return it as JSON holds it, with at most so many rows of evidence; the table is left out."""
        return {
            "check": self.check,
            "key": self.key,
            "level": self.level,
            "accepted": self.accepted,
            "rows": self.rows,
            "of": self.of,
            "values": dict(self.values),
            "evidence": [item.as_dict() for item in self.evidence[:most]],
        }
