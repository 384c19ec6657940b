"""How many requests to answer together: as many as wait and were measured to cost least a row. Nobody waits for company."""

from __future__ import annotations

import threading

_SIZES = (1, 2, 4, 8, 16, 32)
# Tried so often before it is judged: a first time pays for memory, and any may have waited for a core.
_MIN_SAMPLES = 3
# Every so many times another size has its turn again: what else the machine does changes what pays.
_EXPLORE_EVERY = 32
_WEIGHT = 0.1


class BatchSizer:
    """What answering together costs one model. Safe to share between threads.

    most: never more requests than this at a time; 1 switches it off.
    """

    def __init__(self, most: int) -> None:
        self._sizes = [size for size in _SIZES if size <= most]
        self._seconds: dict[int, float] = {}
        self._looks = dict.fromkeys(self._sizes, 0)
        self._turn = 0
        self._lock = threading.Lock()

    def size(self, waiting: int) -> int:
        """Return how many of the requests that wait for this thread to take at once, at least 1."""
        open_ = [size for size in self._sizes if size <= waiting]
        if len(open_) < 2:
            return 1
        with self._lock:
            fresh = next((size for size in open_ if self._looks[size] < _MIN_SAMPLES), None)
            if fresh is not None:
                return fresh
            self._turn += 1
            if self._turn % _EXPLORE_EVERY == 0:
                return open_[self._turn // _EXPLORE_EVERY % len(open_)]
            return min(open_, key=self._seconds.__getitem__)

    def record(self, size: int, seconds_a_row: float) -> None:
        """Remember what a row of so many requests together has cost; between two sizes it counts for the smaller."""
        size = max(known for known in self._sizes if known <= size)
        with self._lock:
            self._looks[size] += 1
            known = self._seconds.get(size)
            if known is None or self._looks[size] <= _MIN_SAMPLES:
                # The best of the first looks: what disturbs only ever adds.
                self._seconds[size] = min(seconds_a_row, known or seconds_a_row)
            else:
                self._seconds[size] = known + _WEIGHT * (seconds_a_row - known)
