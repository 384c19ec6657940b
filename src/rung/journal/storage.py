"""Where a journal is stored: what the writer asks of a database, and how SQLite answers."""

from __future__ import annotations

import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError

from rung.core.files import writing
from rung.journal.database_files import JournalError, JournalFiles, WriteTransaction, journal_error
from rung.journal.schema import FILE_NAME
from rung.journal.sync import WalSync

# Longest wait for a lock that another process holds.
_BUSY_TIMEOUT_MS = 2_000
_TRUNCATE_SECONDS = 10.0
# A commit checkpoints only when WalSync could not keep the log small: 32 MB.
_AUTOCHECKPOINT_PAGES = 8_192


class Storage(ABC):
    """A database that holds a journal. name: as errors call it. engine: what connects to it."""

    name: str
    engine: Engine

    @abstractmethod
    def opened(self, connection: Connection) -> None:
        """Note that the tables are there and the database is open."""

    @abstractmethod
    def transaction(self, connection: Connection) -> AbstractContextManager[None]:
        """Return a transaction that no other writer's overlaps: nobody erases a key between its look-up and the commit."""

    def creation(self, connection: Connection) -> AbstractContextManager[Any]:
        """Return a transaction in which tables may be made."""
        return connection.begin()

    @abstractmethod
    def damage(self) -> JournalError | None:
        """Return an error where what was just committed is in no database that anybody finds again."""

    @abstractmethod
    def is_unavailable(self, error: BaseException) -> bool:
        """Return whether an error concerns the database, not the record that was written."""

    @abstractmethod
    def error(self, error: Any) -> JournalError:
        """Return what an error of the database means, and what to do."""

    def committed(self) -> None:
        """Note a commit."""

    @property
    def problem(self) -> str:
        """Return why commits do not reach the disk at the moment, "" where they do."""
        return ""

    @abstractmethod
    def remove_erased(self) -> None:
        """Leave no file of the database with what was erased; raises JournalError where that cannot be done now."""

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()


class SqliteStorage(Storage):
    """A file in the service folder."""

    def __init__(self, path: Path) -> None:
        self.name, self._path = path.name, path
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._files = JournalFiles(path)
        self.engine = _create_engine(path)
        # Two checkpoints at once make one of them fail: SQLite does not wait for the other.
        self._checkpointing = threading.Lock()
        self._sync: WalSync | None = None

    def opened(self, connection: Connection) -> None:
        self._files.opened(connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal")
        self._sync = WalSync(self._path.with_name(FILE_NAME + "-wal"), self._checkpoint)

    def transaction(self, connection: Connection) -> AbstractContextManager[None]:
        return WriteTransaction(connection)

    def damage(self) -> JournalError | None:
        return self._files.error()

    def is_unavailable(self, error: BaseException) -> bool:
        return isinstance(error, OperationalError | sqlite3.OperationalError)

    def error(self, error: Any) -> JournalError:
        return journal_error(error, self._path)

    def committed(self) -> None:
        if self._sync is not None:
            self._sync.request()

    @property
    def problem(self) -> str:
        return self._sync.problem if self._sync is not None else ""

    def remove_erased(self) -> None:
        """Checkpoint the log and truncate it. Raises JournalError when readers or another program block it for 10 seconds."""
        until = time.monotonic() + _TRUNCATE_SECONDS
        while self._checkpoint("TRUNCATE"):
            if time.monotonic() > until:
                raise JournalError(
                    "the erased data is still in the log, because the journal is being read",
                    self.name,
                    "Try again.",
                )
            time.sleep(0.05)

    def close(self) -> None:
        if self._sync is not None:
            self._sync.close()
        self.engine.dispose()

    def _checkpoint(self, mode: str = "PASSIVE") -> bool:
        """Checkpoint the log; return whether it is incomplete."""
        with self._checkpointing, suppress(DatabaseError), self.engine.connect() as connection:
            busy, pages, done = connection.exec_driver_sql(f"PRAGMA wal_checkpoint({mode})").one()
            return bool(busy) or pages != done
        return True


def _create_engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_MS / 1000})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        # NORMAL: a commit reaches the operating system, so it survives kill -9; WalSync covers power
        # failures.
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON",
                       f"wal_autocheckpoint={_AUTOCHECKPOINT_PAGES}"):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}").close()

    return engine
