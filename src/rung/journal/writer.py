"""Write predictions, feedback and shadow answers in batches.

Each record is acknowledged once it is committed.

Acknowledged records survive kill -9. A thread that submits while no other thread writes commits at once, so
no other thread has to wake up. A record that is submitted during another thread's commit is written with that
thread's next commit. A separate thread syncs the log to disk within 50 ms, for power failures.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select
from sqlalchemy.exc import DatabaseError, OperationalError

from rung.core.errors import UPDATE, RungError
from rung.core.files import writing
from rung.core.logs import log
from rung.journal.database_files import JournalError as JournalError
from rung.journal.database_files import JournalFiles, WriteTransaction, journal_error
from rung.journal.encryption import MASTER_KEY_VARIABLE
from rung.journal.feedback_answers import feedback_row
from rung.journal.records import BulkInsert, FeedbackRecord, PredictionRecord, RecordEncoder, ShadowRecord
from rung.journal.schema import (
    FEEDBACK,
    FILE_NAME,
    FORMAT,
    MASTER_KEY_CHECK,
    METADATA,
    PREDICTIONS,
    SETTINGS,
    SHADOWS,
    SUBJECTS,
)
from rung.journal.sync import WalSync

# Longest wait for a lock that another process holds.
_BUSY_TIMEOUT_MS = 2_000
_MAX_BATCH_RECORDS = 1_000
_TRUNCATE_SECONDS = 10.0
# A commit checkpoints only when WalSync could not keep the log small: 32 MB.
_AUTOCHECKPOINT_PAGES = 8_192
Record = PredictionRecord | FeedbackRecord | ShadowRecord
OnCommit = Callable[[BaseException | None], None]
Transaction = Callable[[Connection, RecordEncoder], Any]


class Journal:
    """The journal of one service folder. Thread-safe. `close` writes what is queued.

    inputs: how inputs are stored (see `RecordEncoder`). Raises RungError when the folder cannot be written,
    contains a journal of a newer format, or encryption is requested without a master key.
    """

    def __init__(self, folder: Path, inputs: str | None = None, keep_days: int = 90) -> None:
        self.path = folder / FILE_NAME
        self.problem = ""
        self.keep_days = keep_days
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._files = JournalFiles(self.path)
        self._engine = _create_engine(self.path)
        try:
            with self._engine.begin() as connection:
                METADATA.create_all(connection)
                self.encoder = RecordEncoder(_load_settings(connection), inputs)
                _require_same_master_key(connection, self.encoder)
                self._files.opened(connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal")
        except DatabaseError as error:
            self._engine.dispose()
            raise journal_error(error, self.path) from None
        except RungError:
            self._engine.dispose()
            raise
        self._queue: queue.SimpleQueue[tuple[Sequence[Record] | Transaction, OnCommit]] = queue.SimpleQueue()
        self._add_predictions = BulkInsert(PREDICTIONS, self._engine)
        self._add_feedback = BulkInsert(FEEDBACK, self._engine)
        self._add_shadows = BulkInsert(SHADOWS, self._engine)
        # Two checkpoints at once make one of them fail: SQLite does not wait for the other.
        self._checkpointing = threading.Lock()
        self._sync = WalSync(self.path.with_name(FILE_NAME + "-wal"), self._checkpoint)
        self._closed = False
        # Held by the writing thread, which alone uses the connection.
        self._writing = threading.Lock()
        self._connection: Connection | None = None

    def submit(self, records: Sequence[Record], done: OnCommit) -> None:
        """Submit records.

        The writing thread calls `done` with None once all are committed, else with the error.
        """
        self.submit_many([(records, done)])

    def submit_many(self, work: Sequence[tuple[Sequence[Record], OnCommit]]) -> None:
        """Submit several groups of records, each with its own `done`, in one commit.

        An error in one group fails only that group.
        """
        for records, done in work:
            if self._closed:
                done(JournalError("the journal is closed", str(self.path.name), "The server is stopping."))
            else:
                self._queue.put((records, done))
        self._write_queued()

    def write(self, *records: Record) -> None:
        """Write records and return once they are committed. Raises JournalError when they are not."""
        self._wait_for_commit(lambda done: self.submit(records, done))

    def execute(self, job: Transaction) -> Any:
        """Run a function in a transaction of its own, in the order of submission, and return its result."""
        found: list[Any] = []

        def keep(connection: Connection, rows: RecordEncoder) -> None:
            found.append(job(connection, rows))

        def hand_in(done: OnCommit) -> None:
            self._queue.put((keep, done))
            self._write_queued()

        self._wait_for_commit(hand_in)
        return found[0]

    def read(self, query: Callable[[Connection], Any]) -> Any:
        """Return the result of a query. Raises JournalError when the journal cannot be read."""
        try:
            with self._engine.connect() as connection:
                return query(connection)
        except DatabaseError as error:
            raise journal_error(error, self.path) from None

    def probe(self) -> str:
        """Return the problem with writing, "" if there is none. After a failure it tries to write again."""
        if self.problem or self._files.error() is not None:
            with suppress(RungError):
                self.execute(lambda connection, _: connection.execute(_probe_statement(connection)))
        return self.problem or self._sync.problem

    def truncate_log(self) -> None:
        """Checkpoint the log and truncate it, so that no file contains the erased pages.

        Raises JournalError when readers or another program block it for 10 seconds.
        """
        until = time.monotonic() + _TRUNCATE_SECONDS
        while self._checkpoint("TRUNCATE"):
            if time.monotonic() > until:
                raise JournalError(
                    "the erased data is still in the log, because the journal is being read",
                    self.path.name,
                    "Try again.",
                )
            time.sleep(0.05)

    def _checkpoint(self, mode: str = "PASSIVE") -> bool:
        """Checkpoint the log; return whether it is incomplete."""
        with self._checkpointing, suppress(DatabaseError), self._engine.connect() as connection:
            busy, pages, done = connection.exec_driver_sql(f"PRAGMA wal_checkpoint({mode})").one()
            return bool(busy) or pages != done
        return True

    def close(self) -> None:
        """Write what is queued and close the file."""
        if not self._closed:
            self._closed = True
            self._write_queued()
            with self._writing:  # The last writer has finished.
                self._reset_connection()
            self._sync.close()
            self._engine.dispose()

    def _wait_for_commit(self, hand_in: Callable[[OnCommit], None]) -> None:
        finished = threading.Event()
        failed: list[BaseException] = []

        def done(error: BaseException | None) -> None:
            if error:
                failed.append(error)
            finished.set()

        hand_in(done)
        finished.wait()
        if failed:
            raise failed[0]

    def _write_queued(self) -> None:
        """Write what is queued, unless another thread is writing.

        The writing thread checks the queue again after releasing the lock, so nothing that arrives meanwhile
        is left.
        """
        while not self._queue.empty() and self._writing.acquire(blocking=False):
            try:
                self._write_batch()
            finally:
                self._writing.release()

    def _write_batch(self) -> None:
        """Write queued records up to the next transaction or the size of a batch, then that transaction."""
        batch: list[tuple[Sequence[Record], OnCommit]] = []
        change: tuple[Transaction, OnCommit] | None = None
        size = 0
        while size < _MAX_BATCH_RECORDS and change is None:
            try:
                work, done = self._queue.get_nowait()
            except queue.Empty:
                break
            if callable(work):
                change = (work, done)
            else:
                batch.append((work, done))
                size += len(work)
        if batch:
            self._commit(batch)
        if change is not None:
            change[1](self._execute(change[0]))

    def _commit(self, batch: list[tuple[Sequence[Record], OnCommit]]) -> None:
        records = [record for work, _ in batch for record in work]
        error = self._execute(lambda connection, rows: self._insert(connection, rows, records))
        if (
            error is not None
            and len(batch) > 1
            and not isinstance(error.__cause__, OperationalError | sqlite3.OperationalError)
        ):
            # The database may have refused one record only: commit each group by itself.
            for item in batch:
                self._commit([item])
            return
        for _, done in batch:
            try:
                done(error)
            except Exception:
                # The caller is gone and its event loop closed. The record is committed all the same.
                log("the caller of a committed record is gone", logging.DEBUG)

    def _execute(self, job: Transaction) -> BaseException | None:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with WriteTransaction(self._connection):
                self.encoder.refresh_keys(self._connection)
                job(self._connection, self.encoder)
            # After the commit: what is acknowledged is in a file that has a name.
            replaced = self._files.error()
            if replaced is not None:
                self._reset_connection()
                self.problem = replaced.problem
                log("journal failed", logging.ERROR, problem=replaced.problem)
                return replaced
        except (OperationalError, sqlite3.OperationalError) as error:
            self._reset_connection()
            found = journal_error(error, self.path)
            self.problem = found.problem
            log("journal failed", logging.ERROR, problem=found.problem)
            return found
        except RungError as error:
            self._reset_connection()
            return error
        except Exception as error:
            self._reset_connection()
            log("journal refused a record", logging.ERROR, error=type(error).__name__)
            failed = JournalError("the record cannot be written", self.path.name, "Report this as a bug.")
            failed.__cause__ = error
            return failed
        self.problem = ""
        self._sync.request()
        return None

    def _insert(self, connection: Connection, rows: RecordEncoder, records: Sequence[Record]) -> None:
        served = [
            rows.encode(connection, record) for record in records if isinstance(record, PredictionRecord)
        ]
        self._add_predictions(connection, served)
        self._add_feedback(
            connection,
            [
                feedback_row(connection, rows, record)
                for record in records
                if isinstance(record, FeedbackRecord)
            ],
        )
        self._add_shadows(
            connection, [vars(record) for record in records if isinstance(record, ShadowRecord)]
        )

    def _reset_connection(self) -> None:
        """Drop what a failed transaction may have left in memory: its new keys and its connection."""
        self.encoder.clear_keys()
        if self._connection is not None:
            with suppress(DatabaseError):
                self._connection.close()
            self._connection = None


def _probe_statement(connection: Connection) -> Any:
    name = SETTINGS.c.name
    known = connection.execute(select(name).where(name == "probe")).first()
    value = str(time.time()).encode()
    if known:
        return SETTINGS.update().where(name == "probe").values(value=value)
    return insert(SETTINGS).values(name="probe", value=value)


def _load_settings(connection: Connection) -> dict[str, bytes]:
    """Return the journal's settings, created for a new one; raises RungError for a newer format."""
    from secrets import token_bytes

    found = {row.name: row.value for row in connection.execute(select(SETTINGS))}
    if not found:
        found = {"format": str(FORMAT).encode(), "salt": token_bytes(32), "expired_until": b"0"}
        connection.execute(insert(SETTINGS), [{"name": k, "value": v} for k, v in found.items()])
    if int(found["format"]) > FORMAT:
        raise RungError(
            f"the journal has format {int(found['format'])}, this rung reads up to {FORMAT}", FILE_NAME, UPDATE
        )  # fmt: skip
    return found


def _require_same_master_key(connection: Connection, encoder: RecordEncoder) -> None:
    """Raise RungError when the journal was written with another master key; note the key of a new journal."""
    if encoder.cipher is None:
        return
    check = encoder.cipher.check
    known = encoder.settings.get(MASTER_KEY_CHECK)
    if known is None:
        # A journal of version 0.1 has no such setting: its latest key tells.
        s = SUBJECTS.c
        latest = connection.execute(
            select(s.id, s.wrapped_key).where(s.wrapped_key.is_not(None)).order_by(s.made_at.desc()).limit(1)
        ).first()
        if latest is not None:
            encoder.cipher.unwrap(latest.wrapped_key, latest.id)
        connection.execute(insert(SETTINGS).values(name=MASTER_KEY_CHECK, value=check))
    elif known != check:
        fix = f"Set {MASTER_KEY_VARIABLE} to the key that the journal was written with, or move all of journal.db* away."
        raise RungError("the journal was written with another master key", FILE_NAME, fix)


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
