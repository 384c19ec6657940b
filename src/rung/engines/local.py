"""Run jobs on this machine, one after the other: a fit sets its own threads and uses every core it may."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rung.core.engine import Job, Resources, Result


class LocalEngine:
    """The default engine."""

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job], resources: Resources) -> Iterator[Result]:
        """Yield fn(job) for each job, in order; a job is begun when its result is asked for."""
        del resources  # One machine: a job gets what there is.
        for job in jobs:
            yield fn(job)
