"""Adaptive batch size: of the queued requests, take as many as were measured to cost least per row; never wait for more."""

from __future__ import annotations

import threading

_SIZES = (1, 2, 4, 8, 16, 32)
# Measurements before a size is compared: the first allocates memory, and any may have waited for a core.
_MIN_SAMPLES = 3
# Every n-th batch tries another size again, because the machine's load changes which size is cheapest.
_EXPLORE_EVERY = 32
_WEIGHT = 0.1


class BatchSizer:
    """Chooses the batch size of one model from measured cost. Thread-safe.

    most: largest batch; 1 disables batching.
    """

    def __init__(self, most: int) -> None:
        self._sizes = [size for size in _SIZES if size <= most]
        self._seconds: dict[int, float] = {}
        self._looks = dict.fromkeys(self._sizes, 0)
        self._turn = 0
        self._lock = threading.Lock()

    def size(self, waiting: int) -> int:
        """Return how many of this many queued requests to take as one batch, at least 1."""
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
        """Record the seconds per row of a batch; a size between two known ones counts for the smaller."""
        size = max(known for known in self._sizes if known <= size)
        with self._lock:
            self._looks[size] += 1
            known = self._seconds.get(size)
            if known is None or self._looks[size] <= _MIN_SAMPLES:
                # The minimum of the first measurements: disturbances only ever add time.
                self._seconds[size] = min(seconds_a_row, known or seconds_a_row)
            else:
                self._seconds[size] = known + _WEIGHT * (seconds_a_row - known)
