"""How work is spread: one method, so that a laptop and a cluster are the same to every stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Resources:
    """What one job needs."""

    threads: int = 1
    memory_mb: int = 0
    gpus: int = 0


class Engine(Protocol):
    """Runs a top-level function over jobs and yields results in the order of the jobs.

    Jobs and results can be pickled: jobs carry handles of data, results are folders on a disk that all workers share.
    """

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job], resources: Resources) -> Iterator[Result]:
        """Yield fn(job) for each job, in order. resources: what one job needs."""
        ...
