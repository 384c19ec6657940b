"""A few threads that do what they are handed, in order: a pool without futures, which nobody here asks for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

Work = Callable[[], None]


class Workers:
    """Threads that wait for work; the one that worked last is woken first: its core and memory are still warm.

    What is handed in must not raise.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._lock = threading.Lock()
        self._work: deque[Work] = deque()
        self._idle: list[_Place] = []
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{n}", daemon=True) for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work) -> None:
        """Hand in work."""
        with self._lock:
            if not self._idle:
                self._work.append(work)
                return
            place = self._idle.pop()
        place.give(work)

    def close(self) -> None:
        """Do what was handed in, then stop."""
        with self._lock:
            self._closing = True
            idle, self._idle = self._idle, []
        for place in idle:
            place.give(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        place = _Place()
        while (work := self._next(place)) is not None:
            work()

    def _next(self, place: _Place) -> Work | None:
        with self._lock:
            if self._work:
                return self._work.popleft()
            if self._closing:
                return None
            self._idle.append(place)
        return place.wait()


class _Place:
    """Where one idle thread waits for its work; None means that there is none any more."""

    def __init__(self) -> None:
        self._work: Work | None = None
        self._given = threading.Lock()
        self._given.acquire()

    def give(self, work: Work | None) -> None:
        self._work = work
        self._given.release()

    def wait(self) -> Work | None:
        self._given.acquire()
        work, self._work = self._work, None
        return work
