"""The append-only label store: labels, skips, settlements and undos.

An SQLite file in WAL mode: a line is there when `add` returns, whatever is killed afterwards, and several people and
processes may write at once. Triggers refuse to change or delete a line. A row's text is not kept, only its hash.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rung.core.errors import DataError

LABEL, SKIP, UNCLEAR, SETTLE, UNDO = "label", "skip", "unclear", "settle", "undo"
KINDS = (LABEL, SKIP, UNCLEAR, SETTLE, UNDO)
_FORMAT = 1
_COLUMNS = "id, at, author, kind, text, file, row, label, how, inclusion, of, token"
_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, author TEXT NOT NULL, kind TEXT NOT NULL,
  text TEXT NOT NULL, file TEXT NOT NULL, row INTEGER NOT NULL, label TEXT, how TEXT NOT NULL,
  inclusion REAL, of INTEGER, token TEXT UNIQUE) STRICT;
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS entries_stay_whole BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""


@dataclass(frozen=True)
class Entry:
    """One line. text: hash of the row's folded text, 16 hex digits: what the label belongs to.

    file, row: where the text stood. label: None for a skip, "cannot be told" and an undo. how: how the row came to be
    asked about (audit, random, cluster, useful, given). inclusion: the probability with which a random row was to be
    asked about; None for chosen ones. of: the line that an undo takes back. token: the same line sent again, by a page
    whose network broke, is written once. id and at are set by the store.
    """

    author: str
    kind: str
    text: str
    file: str
    row: int
    label: str | None = None
    how: str = "given"
    inclusion: float | None = None
    of: int | None = None
    token: str | None = None
    id: int = 0
    at: str = ""


class LabelStore:
    """The labels of one product. Safe to share between threads, and between processes."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; raises DataError when it is something else or from a newer version."""
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                path, timeout=30.0, check_same_thread=False, isolation_level=None
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            # Also after a power cut: a label is on the disk before the page says so.
            self._database.execute("PRAGMA synchronous=FULL")
            found = self._database.execute("PRAGMA user_version").fetchone()[0]
            if found not in {0, _FORMAT}:
                raise DataError(f"labels of format {found} are not known", str(path), "Use a newer rung.")
            self._database.executescript(_TABLE)
            self._database.execute(f"PRAGMA user_version={_FORMAT}")
        except (sqlite3.Error, OSError) as error:
            raise DataError(
                f"the labels cannot be read or written: {error}",
                str(path),
                "Is it the file that `rung label` made?",
            ) from None

    def add(self, *entries: Entry) -> list[int]:
        """Write lines, all or none, and return their numbers once they are on the disk.

        A line whose token is there already is not written again; its number is returned.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        written = []
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                for entry in entries:
                    written.append(self._insert(entry, now))
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
        return written

    def _insert(self, entry: Entry, now: str) -> int:
        if entry.kind not in KINDS:
            raise ValueError(f"'{entry.kind}' is no kind of entry")
        if entry.token:
            query = "SELECT id FROM entries WHERE token = ?"
            known = self._database.execute(query, [entry.token]).fetchone()
            if known:
                return int(known[0])
        values: list[Any] = [
            now, entry.author, entry.kind, entry.text, entry.file, entry.row, entry.label, entry.how,
            entry.inclusion, entry.of, entry.token,
        ]  # fmt: skip
        places = ", ".join("?" * len(values))
        columns = _COLUMNS.removeprefix("id, ")
        return int(
            self._database.execute(f"INSERT INTO entries ({columns}) VALUES ({places})", values).lastrowid
            or 0
        )  # noqa: S608 - names of ours

    def entries(self, after: int = 0) -> list[Entry]:
        """Return all lines with a number above `after`, in the order they were written."""
        with self._lock:
            found = self._database.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE id > ? ORDER BY id",
                [after],  # noqa: S608 - names of ours
            ).fetchall()
        return list(_read(found))

    def close(self) -> None:
        """Close the file; what was written stays."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(rows: list[tuple[Any, ...]]) -> Iterator[Entry]:
    for number, at, author, kind, text, file, row, label, how, inclusion, of, token in rows:
        yield Entry(author, kind, text, file, row, label, how, inclusion, of, token, number, at)
