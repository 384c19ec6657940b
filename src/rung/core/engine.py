"""How work is spread: one method, so that a laptop and a cluster are the same to every stage."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

Job = TypeVar("Job")
Result = TypeVar("Result")

# A job that lost its worker is begun so many times in all.
ATTEMPTS = 3


@dataclass(frozen=True)
class Resources:
    """What one job needs. of: what the jobs are for, such as the name of a rung: errors name it.

    stop: of jobs in the background, which may wait for any others: once it is set, they end and nothing more is yielded.
    """

    threads: int = 1
    memory_mb: int = 0
    gpus: int = 0
    of: str = ""
    stop: threading.Event | None = None

    @property
    def in_background(self) -> bool:
        """Return whether the jobs may wait for any others."""
        return self.stop is not None

    @property
    def is_over(self) -> bool:
        """Return whether nobody wants the jobs any more."""
        return self.stop is not None and self.stop.is_set()


class Engine(Protocol):
    """Runs a top-level function over jobs and yields results in the order of the jobs.

    Jobs and results can be pickled: jobs carry handles of data, results are folders on a disk that all workers share.
    """

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job], resources: Resources) -> Iterator[Result]:
        """Yield fn(job) for each job, in order. resources: what one job needs.

        An error of a job is raised as the job raised it. Jobs that lose their workers are begun again, so a job leaves a
        folder that is renamed into place. Raises WorkerLost for one whose workers were lost `ATTEMPTS` times.
        """
        ...


@dataclass(frozen=True)
class Place:
    """Where and how wide an engine works. home: a folder for what it writes, gone when it ends.

    workers: jobs at the same time on this machine, None where nobody says; threads: of each. shared: a folder that every
    worker must see.
    """

    home: Path
    workers: int | None = None
    threads: int = 1
    shared: Path | None = None


@runtime_checkable
class ManagedEngine(Engine, Protocol):
    """An engine that starts something: processes, a cluster."""

    @property
    def is_parallel(self) -> bool:
        """Return whether jobs run at the same time."""
        ...

    def running(self, place: Place) -> AbstractContextManager[None]:
        """Let `map` start what it needs inside the block; end it after. Raises RungError where it cannot begin."""
        ...
