"""Write predictions, feedback and shadow answers in batches.

Each record is acknowledged once it is committed.

Acknowledged records survive kill -9. A thread that submits while no other thread writes commits at once, so
no other thread has to wake up. A record that is submitted during another thread's commit is written with that
thread's next commit. A separate thread syncs the log to disk within 50 ms, for power failures.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DBAPIError

from rung.core.errors import UPDATE, RungError
from rung.core.logs import log
from rung.journal.database_files import JournalError as JournalError
from rung.journal.encryption import MASTER_KEY_VARIABLE
from rung.journal.feedback_answers import feedback_row
from rung.journal.place import open_storage
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

_MAX_BATCH_RECORDS = 1_000
Record = PredictionRecord | FeedbackRecord | ShadowRecord
OnCommit = Callable[[BaseException | None], None]
Transaction = Callable[[Connection, RecordEncoder], Any]


class Journal:
    """The journal of one service folder. Thread-safe. `close` writes what is queued.

    inputs: how inputs are stored (see `RecordEncoder`). Raises RungError when the folder cannot be written,
    contains a journal of a newer format, or encryption is requested without a master key.
    """

    def __init__(self, folder: Path, inputs: str | None = None, keep_days: int = 90) -> None:
        self.problem = ""
        self.keep_days = keep_days
        # Where the file lies, of a journal that is one.
        self.path = folder / FILE_NAME
        self._storage = open_storage(folder)
        self.name, self._engine = self._storage.name, self._storage.engine
        try:
            with self._engine.connect() as connection:
                with self._storage.creation(connection):
                    METADATA.create_all(connection)
                    self.encoder = RecordEncoder(_load_settings(connection), inputs)
                    _require_same_master_key(connection, self.encoder)
                self._storage.opened(connection)
        except DBAPIError as error:
            self._engine.dispose()
            raise self._storage.error(error) from None
        except RungError:
            self._engine.dispose()
            raise
        self._queue: queue.SimpleQueue[tuple[Sequence[Record] | Transaction, OnCommit]] = queue.SimpleQueue()
        self._add_predictions = BulkInsert(PREDICTIONS, self._engine)
        self._add_feedback = BulkInsert(FEEDBACK, self._engine)
        self._add_shadows = BulkInsert(SHADOWS, self._engine)
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
                done(JournalError("the journal is closed", self.name, "The server is stopping."))
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
        except DBAPIError as error:
            raise self._storage.error(error) from None

    def probe(self) -> str:
        """Return the problem with writing, "" if there is none. After a failure it tries to write again."""
        if self.problem or self._storage.damage() is not None:
            with suppress(RungError):
                self.execute(lambda connection, _: connection.execute(_probe_statement(connection)))
        return self.problem or self._storage.problem

    def remove_erased(self) -> None:
        """Leave no file of the journal with what was erased; raises JournalError where that cannot be done now."""
        self._storage.remove_erased()

    def close(self) -> None:
        """Write what is queued and close the file."""
        if not self._closed:
            self._closed = True
            self._write_queued()
            with self._writing:  # The last writer has finished.
                self._reset_connection()
            self._storage.close()

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
            and not (error.__cause__ is not None and self._storage.is_unavailable(error.__cause__))
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
            with self._storage.transaction(self._connection):
                self.encoder.refresh_keys(self._connection)
                job(self._connection, self.encoder)
            # After the commit: what is acknowledged is where it is found again.
            damage = self._storage.damage()
            if damage is not None:
                return self._failed(damage)
        except RungError as error:
            self._reset_connection()
            return error
        except Exception as error:
            if self._storage.is_unavailable(error):
                return self._failed(self._storage.error(error))
            self._reset_connection()
            log("journal refused a record", logging.ERROR, error=type(error).__name__)
            failed = JournalError("the record cannot be written", self.name, "Report this as a bug.")
            failed.__cause__ = error
            return failed
        self.problem = ""
        self._storage.committed()
        return None

    def _failed(self, error: JournalError) -> JournalError:
        """Note that nothing can be written now, and return the error."""
        self._reset_connection()
        self.problem = error.problem
        log("journal failed", logging.ERROR, problem=error.problem)
        return error

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
            with suppress(DBAPIError):
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
