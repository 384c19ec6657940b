"""The files of a journal: who may read them, whether they are still in place, and what SQLite's errors mean."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from rung.core.errors import RungError
from rung.core.files import writing


class JournalError(RungError):
    """The journal cannot be written or read now.

    HTTP answers 503: nothing was acknowledged, so a retry is safe.
    """


class JournalFiles:
    """Database and log of a journal, which only their owner may read. They must stay in place while the journal is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._has_log = False
        with writing(path.parent), suppress(FileExistsError):
            # SQLite gives its log the permissions of the database, so that is made before SQLite opens it.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        for file in (path, self._log, path.with_name(path.name + "-shm")):
            with suppress(FileNotFoundError):
                file.chmod(0o600)
        # Looked at after each commit: texts cost less than paths.
        self._names = str(path), str(self._log)
        self._identity = self._stat()

    def opened(self, has_log: bool) -> None:
        """Note that the database is open. has_log: with a write-ahead log, which some file systems do not allow."""
        self._has_log = has_log

    def error(self) -> JournalError | None:
        """Return an error where database or log were deleted or replaced: records would go into files without a name.

        Call it while a connection is open: the last one that closes removes the log.
        """
        if self._stat() == self._identity and (not self._has_log or os.path.exists(self._names[1])):  # noqa: PTH110
            return None
        fix = "Stop the server, restore the file or move all of journal.db* away, and start again."
        return JournalError("the file was deleted or replaced while it was open", self._path.name, fix)

    def _stat(self) -> tuple[int, int] | None:
        try:
            stat = os.stat(self._names[0])  # noqa: PTH116
        except OSError:
            return None
        return stat.st_dev, stat.st_ino


class WriteTransaction:
    """A transaction that takes the lock of writers at its beginning: nobody erases a key between its look-up and the commit.

    Statements of SQLAlchemy and of the driver may be mixed inside. Begin and end are the driver's own, which costs a third.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = driver_connection(connection)

    def __enter__(self) -> None:
        self._driver.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        # SQLAlchemy begins a transaction of its own at its first statement, and has to hear of the end.
        one = self._connection if self._connection.in_transaction() else self._driver
        if kind is None:
            one.commit()
        else:
            one.rollback()


def driver_connection(connection: Connection) -> sqlite3.Connection:
    """Return SQLite's own connection below one of SQLAlchemy."""
    found = connection.connection.driver_connection
    assert isinstance(found, sqlite3.Connection)  # noqa: S101 - the journal's engine is SQLite
    return found


def journal_error(error: DatabaseError | sqlite3.Error, path: Path) -> JournalError:
    """Return what an error of the database means, and what to do."""
    text = str(error.orig if isinstance(error, DatabaseError) else error).lower()
    if "full" in text or "disk i/o" in text:
        words = ("the disk is full or not writable", "Free some space; the server continues by itself.")
    elif "locked" in text:
        words = ("another program has locked the journal", "Let it finish; the server continues by itself.")
    elif "readonly" in text or "unable to open" in text:
        words = ("the journal's folder is not writable", "Fix its permissions.")
    elif "malformed" in text or "not a database" in text:
        words = ("the file is damaged", "Restore a backup, or move the file away: a new one is created.")
    else:
        words = ("the database reports an error", "See the server's log.")
    made = JournalError(words[0], path.name, words[1])
    made.__cause__ = error
    return made
