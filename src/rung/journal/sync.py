"""Sync the write-ahead log to disk soon after each commit, and checkpoint it, in a thread of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rung.core.logs import log

# Worst case of a record: it arrives just after a sync began, and waits for that sync, this pause and the next
# sync.
_PAUSE = 0.03
_CHECKPOINT_SECONDS = 1.0
_RETRY_SECONDS = 1.0


class WalSync:
    """Syncs a write-ahead log soon after a request (within 50 ms on a disk that syncs in 10 ms), and
    checkpoints it once a second.

    By default SQLite checkpoints within a commit, every thousand pages, and the committing thread waits for
    the disk. SQLite locks the database and its index, never the log, so opening and closing the log here
    releases no lock.
    """

    def __init__(self, path: Path, checkpoint: Callable[[], object]) -> None:
        self._path = path
        self._checkpoint = checkpoint
        self._requested = threading.Event()
        self._closing = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="rung-journal-sync", daemon=True)
        self._thread.start()

    def request(self) -> None:
        """Request a sync."""
        self._requested.set()

    def close(self) -> None:
        """Sync once more and stop."""
        self._closing.set()
        self._requested.set()
        self._thread.join()

    @property
    def problem(self) -> str:
        """Return why records are not synced to disk at the moment, "" where they are."""
        return self._problem or ("" if self._thread.is_alive() else "the thread that syncs has ended")

    def _run(self) -> None:
        last = time.monotonic()
        while not self._closing.is_set():
            self._requested.wait()
            self._closing.wait(_RETRY_SECONDS if self._problem else _PAUSE)
            self._requested.clear()
            self._sync()
            if self._problem:
                self._requested.set()
            elif time.monotonic() - last > _CHECKPOINT_SECONDS:
                self._checkpoint()
                last = time.monotonic()

    def _sync(self) -> None:
        """Sync the log. Whatever the system refuses is noted and tried again: records may not pile up unsynced, unseen."""
        problem = ""
        try:
            handle = os.open(self._path, os.O_RDWR)
            try:
                (os.fsync if not hasattr(os, "fdatasync") else os.fdatasync)(handle)
            finally:
                os.close(handle)
        except FileNotFoundError:  # A checkpoint has just moved the log into the database and synced that.
            pass
        except OSError as error:
            problem = f"records cannot be synced to disk: {error.strerror}"
        if problem != self._problem:
            log("journal sync", logging.ERROR if problem else logging.INFO, problem=problem)
        self._problem = problem
