"""The files of a journal: who may read them, whether they are still in place, and what SQLite's errors mean."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

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
        self._identity = self._stat()

    def opened(self, has_log: bool) -> None:
        """Note that the database is open. has_log: with a write-ahead log, which some file systems do not allow."""
        self._has_log = has_log

    def error(self) -> JournalError | None:
        """Return an error where database or log were deleted or replaced: records would go into files without a name.

        Call it while a connection is open: the last one that closes removes the log.
        """
        if self._stat() == self._identity and (not self._has_log or self._log.exists()):
            return None
        fix = "Stop the server, restore the file or move all of journal.db* away, and start again."
        return JournalError("the file was deleted or replaced while it was open", self._path.name, fix)

    def _stat(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino


def journal_error(error: DatabaseError, path: Path) -> JournalError:
    """Return what an error of the database means, and what to do."""
    text = str(error.orig).lower()
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
