"""Threads that a forked process may use: one."""

from __future__ import annotations

import multiprocessing
import os
from threading import Event

# GNU's OpenMP waits for ever in a forked child whose parent has started its threads; a single one is never waited for.
_forked = Event()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked.set)
    if type(multiprocessing.current_process()).__name__ == "ForkProcess":  # Imported here for the first time.
        _forked.set()


def usable_threads(threads: int) -> int:
    """Return how many of these threads a fit may use in this process; at least one, and one in a forked process."""
    return 1 if _forked.is_set() else max(threads, 1)
