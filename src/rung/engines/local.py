"""Run jobs on this machine, one after the other: a fit sets its own threads and uses every core it may."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rung.core.engine import Job, Resources, Result


class LocalEngine:
    """The default engine."""

    def map(self, fn: Callable[[Job], Result], jobs: Sequence[Job], resources: Resources) -> Iterator[Result]:
        """Yield fn(job) for each job, in order, as each is done."""
        del resources  # One machine: a job gets what there is.
        for job in jobs:
            yield fn(job)
