"""A minimal thread pool without futures."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]


class WorkerPool:
    """Threads that run jobs in order. The thread that was idle last is woken first: its caches are still warm.

    Jobs must not raise.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._lock = threading.Lock()
        self._queue: deque[Job] = deque()
        self._idle: list[_IdleSlot] = []
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{n}", daemon=True) for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job."""
        with self._lock:
            if not self._idle:
                self._queue.append(job)
                return
            slot = self._idle.pop()
        slot.give(job)

    def close(self) -> None:
        """Run the queued jobs, then stop the threads."""
        with self._lock:
            self._closing = True
            idle, self._idle = self._idle, []
        for slot in idle:
            slot.give(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        slot = _IdleSlot()
        while (job := self._next(slot)) is not None:
            job()

    def _next(self, slot: _IdleSlot) -> Job | None:
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            if self._closing:
                return None
            self._idle.append(slot)
        return slot.wait()


class _IdleSlot:
    """Where one idle thread waits for a job; None tells it to end."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._given = threading.Lock()
        self._given.acquire()

    def give(self, job: Job | None) -> None:
        self._job = job
        self._given.release()

    def wait(self) -> Job | None:
        self._given.acquire()
        job, self._job = self._job, None
        return job
