"""What this process is doing, for whoever watches: long work notes it, and a heartbeat tells it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Nothing is silent for longer than this.
SILENT_SECONDS = 4.0
_LOOKS_EVERY = 0.5
# The pace from which the time left is told is that of so many last seconds: what was kept on disk goes faster.
_PACE_SECONDS = 60.0
Tell = Callable[[dict[str, Any]], None]


class _Now:
    """The innermost activity of the process: `what` is the key of a message below `activity.`."""

    what, done, total, name = "", 0, 0, ""


_NOW = _Now()


def note(done: int) -> None:
    """Note how far the current activity has come. Costs an assignment."""
    _NOW.done = done


@contextmanager
def doing(what: str, total: int = 0, name: str = "") -> Iterator[None]:
    """Say what the block does. what: key of a message below `activity.`; total: steps, where they can be counted.

    name: of the thing that it works on.
    """
    before = (_NOW.what, _NOW.done, _NOW.total, _NOW.name)
    _NOW.what, _NOW.done, _NOW.total, _NOW.name = what, 0, total, name
    try:
        yield
    finally:
        _NOW.what, _NOW.done, _NOW.total, _NOW.name = before


def current() -> dict[str, Any]:
    """Return the current activity for an event."""
    return {"what": _NOW.what, "done": _NOW.done, "total": _NOW.total, "name": _NOW.name}


class Pace:
    """Estimates how long an activity of counted steps still takes, from how fast its last steps were."""

    def __init__(self) -> None:
        self._of: tuple[Any, ...] = ()
        self._seen: deque[tuple[float, int]] = deque()

    def left(self, now: dict[str, Any], at: float) -> float | None:
        """Return the seconds left of an activity as `current` gives it; None while that cannot be told. at: seconds."""
        done, total = int(now["done"]), int(now["total"])
        of = (now["what"], now["name"], total)
        if of != self._of or (self._seen and done < self._seen[-1][1]):
            self._of = of
            self._seen.clear()
        self._seen.append((at, done))
        while self._seen[0][0] < at - _PACE_SECONDS:
            self._seen.popleft()
        begun, before = self._seen[0]
        if not total or done <= before:
            return None
        return round(float(total - done) * (at - begun) / float(done - before), 1)


class Heartbeat:
    """Tells the current activity whenever nothing else was told for some seconds. Used as a context manager."""

    def __init__(self, tell: Tell, every: float = SILENT_SECONDS) -> None:
        self._tell, self._every = tell, every
        self._ended = threading.Event()
        self._begun = self._told = time.monotonic()
        self._pace = Pace()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def heard(self) -> None:
        """Note that something was told: the seconds without news begin again."""
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> Heartbeat:
        self.heard()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(min(_LOOKS_EVERY, self._every)):
            now, doing_now = time.monotonic(), current()
            left = self._pace.left(doing_now, now)
            if now - self._told >= self._every:
                self._told = now
                more = {} if left is None else {"left_seconds": left}
                self._tell({**doing_now, "seconds": round(now - self._begun, 1), **more})
