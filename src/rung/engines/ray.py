"""Run jobs on a Ray cluster, or on Ray of this machine: folds at the same time, on as many machines as there are.

All machines see the run folder and the data under the same paths (a shared disk): jobs carry paths and return folders.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rung.core.engine import ATTEMPTS, Job, Place, Resources, Result
from rung.core.errors import MissingExtra, RungError, WorkerLost
from rung.engines.raised import raised
from rung.engines.ray_cluster import connected, require_same, started

# Of the memory of the largest machine, a job asks for no more.
_SHARE = 0.8
# It is looked so often whether jobs in the background are still wanted.
_LOOK_SECONDS = 0.2


class RayEngine:
    """Chosen by `engine: ray`, or by the address of a cluster that runs.

    Without an address: the cluster of RAY_ADDRESS where that is set, one that this program has connected to already, else
    Ray is started on this machine. Raises MissingExtra where Ray is not installed.
    """

    def __init__(self, address: str = "") -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("the engine 'ray'", "ray", "ray")
        self._address = address

    @property
    def is_parallel(self) -> bool:
        """Return True: how many jobs run at the same time is the cluster's to say."""
        return True

    @contextmanager
    def running(self, place: Place) -> Iterator[None]:
        """Have a cluster inside the block. Raises RungError where none answers, or its machines are not like this one."""
        with self._cluster(place):
            yield

    def _cluster(self, place: Place) -> AbstractContextManager[None]:
        import ray

        if ray.is_initialized():  # By the program that calls us: its cluster, and its to end.
            require_same(place)
            return nullcontext()
        address = self._address or os.environ.get("RAY_ADDRESS", "")
        return connected(address, place) if address not in {"", "local"} else started(place)

    def map(self, fn: Callable[[Job], Result], jobs: Iterable[Job], resources: Resources) -> Iterator[Result]:
        """Yield fn(job) for each job, in order; all of them are handed to Ray at once. Only inside `running`.

        An error of a job is raised as the job raised it; jobs that are not done when the caller ends are cancelled.
        Raises WorkerLost as `Engine.map` says.
        """
        import ray

        wanted = _fitting(resources, [node["Resources"] for node in ray.nodes() if node["Alive"]])
        task = ray.remote(max_retries=ATTEMPTS - 1, **wanted)(fn)
        waiting = [task.remote(job) for job in jobs]
        try:
            for reference in waiting:
                while resources.in_background and not ray.wait([reference], timeout=_LOOK_SECONDS)[0]:
                    if resources.is_over:
                        return
                yield _result(reference, resources)
        finally:
            # Ray ends this process where a job that is done is cancelled while its answer is on its way.
            for reference in _unfinished(waiting):
                ray.cancel(reference, force=True)


def _unfinished(waiting: list[Any]) -> list[Any]:
    import ray

    left: list[Any] = ray.wait(waiting, num_returns=len(waiting), timeout=0)[1] if waiting else []
    return left


def _result(reference: Any, resources: Resources) -> Any:
    """Return what a job came to; raises its error."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise raised(error.cause or error, resources.of) from None
    except ray.exceptions.OutOfMemoryError as error:
        how = " ".join(str(error).split())
        raise WorkerLost(resources.of, f"memory ran out: {how}", 0.0, resources.memory_mb, ATTEMPTS) from None
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
        how = " ".join(str(error).split())
        raise WorkerLost(resources.of, how, 0.0, resources.memory_mb, ATTEMPTS) from None


def _fitting(resources: Resources, nodes: list[dict[str, float]]) -> dict[str, Any]:
    """Return what a job asks Ray for: no more than the largest machine has, else it would wait for ever.

    Raises RungError for a GPU where no machine has one, and where the cluster has no machine.
    """
    if not nodes:
        raise RungError("the cluster has no machine", "engine", "Start one with `ray start`.")
    threads = min(float(resources.threads), max(node.get("CPU", 1.0) for node in nodes))
    memory = min(resources.memory_mb * 1e6, _SHARE * max(node.get("memory", 0.0) for node in nodes))
    if resources.gpus and not any(node.get("GPU", 0.0) >= resources.gpus for node in nodes):
        raise RungError("no machine of the cluster has a GPU", "budget.device", "Write `device: cpu`.")
    return {"num_cpus": threads, "num_gpus": resources.gpus, "memory": int(memory)}
