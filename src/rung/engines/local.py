"""Run jobs on this machine: one after the other in this process, or some at a time in worker processes."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rung.core.engine import Job, Place, Resources, Result
from rung.engines.pool import ProcessPool
from rung.engines.process import free_memory_mb

# So much of the free memory is planned with.
_SHARE = 0.8


class LocalEngine:
    """The default engine. With one worker, jobs run in this process."""

    def __init__(self) -> None:
        self._pool: ProcessPool | None = None
        self._workers = 1

    @property
    def is_parallel(self) -> bool:
        """Return whether jobs run at the same time, inside `running`."""
        return self._pool is not None

    @contextmanager
    def running(self, place: Place) -> Iterator[None]:
        """Let jobs run in place.workers processes inside the block; they begin with their first job."""
        if (place.workers or 1) == 1:
            yield
            return
        self._workers = place.workers or 1
        self._pool = ProcessPool(place.home, self._workers, place.threads)
        try:
            yield
        finally:
            pool, self._pool = self._pool, None
            pool.close()
            shutil.rmtree(place.home, ignore_errors=True)

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job], resources: Resources) -> Iterator[Result]:
        """Yield fn(job) for each job, in order. In this process, a job is begun when its result is asked for.

        Jobs that are planned to take more memory than is free run fewer at a time. Raises WorkerLost as `Engine.map` says.
        """
        if self._pool is None:
            for job in jobs:
                yield fn(job)
            return
        packed = [pickle.dumps((fn, job)) for job in jobs]
        yield from self._pool.map(packed, resources, self._at_a_time(resources))

    def _at_a_time(self, resources: Resources) -> int:
        """Return how many such jobs fit into the memory that is free now; at least one."""
        # One worker at least is left to what somebody waits for.
        most = max(self._workers - resources.in_background, 1)
        free = free_memory_mb()
        if free is None or not resources.memory_mb:
            return most
        return max(min(most, int(_SHARE * free / resources.memory_mb)), 1)
