"""Run jobs on a Ray cluster, or on Ray of this machine: folds at the same time, on as many machines as there are.

All machines see the run folder and the data under the same paths (a shared disk): jobs carry paths and return folders.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rung.core.engine import Job, Resources, Result
from rung.core.errors import MissingExtra, RungError


class RayEngine:
    """Chosen by `engine: ray`. Connects to the cluster of RAY_ADDRESS where that is set, else starts Ray here.

    Raises MissingExtra where Ray is not installed.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("the engine 'ray'", "ray", "ray")

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job], resources: Resources) -> Iterator[Result]:
        """Yield fn(job) for each job, in order; all of them are handed to Ray at once.

        An error of a job is raised as the job raised it; jobs that are not done when the caller ends are cancelled.
        """
        import ray

        # The first error of a map is raised; Ray would print the others of the same fit once more at exit.
        os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
        if not ray.is_initialized():
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="warning")
        wanted = _fitting(resources, [node["Resources"] for node in ray.nodes() if node["Alive"]])
        # A fit that killed its worker is not tried again: it would again.
        task = ray.remote(max_retries=0, **wanted)(fn)
        waiting = [task.remote(job) for job in jobs]
        try:
            for reference in waiting:
                try:
                    yield ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise (error.cause or error) from None
        finally:
            for reference in waiting:
                ray.cancel(reference)


def _fitting(resources: Resources, nodes: list[dict[str, float]]) -> dict[str, Any]:
    """Return what a job asks Ray for: no more threads than the largest machine has, else it would wait for ever.

    Memory is planned too roughly to be reserved. Raises RungError for a GPU where no machine has one.
    """
    threads = min(float(resources.threads), max(node.get("CPU", 1.0) for node in nodes))
    if resources.gpus and not any(node.get("GPU", 0.0) >= resources.gpus for node in nodes):
        raise RungError("no machine of the cluster has a GPU", "budget.device", "Write `device: cpu`.")
    return {"num_cpus": threads, "num_gpus": resources.gpus}
