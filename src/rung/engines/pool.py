"""Worker processes of this machine, each with a thread that hands it jobs; what waits is taken in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rung.core.engine import ATTEMPTS, Resources
from rung.core.errors import WorkerLost
from rung.engines.process import WorkerProcess
from rung.engines.raised import raised

# Memory is looked at so often, and whether jobs in the background are still wanted.
_LOOK_SECONDS = 0.2


class RemoteTraceback(Exception):
    """Where an error was raised in another process: the cause of the error that is raised here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text

    def __str__(self) -> str:
        return f"\n{self._text}"


@dataclass(eq=False)
class _Task:
    """A job on its way. packed: function and job, pickled."""

    packed: bytes
    resources: Resources
    limit: int
    done: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    error: BaseException | None = None
    dropped: bool = False
    worker: WorkerProcess | None = None


class ProcessPool:
    """Up to `workers` processes. home: a folder for what their jobs print; threads: of each."""

    def __init__(self, home: Path, workers: int, threads: int) -> None:
        self._home, self._threads, self._workers = home, threads, workers
        self._changed = threading.Condition()
        self._waiting: list[_Task] = []
        self._running: set[_Task] = set()
        self._processes: list[WorkerProcess] = []
        self._hands: list[threading.Thread] = []
        self._closing = threading.Event()

    def map(self, packed: Sequence[bytes], resources: Resources, limit: int) -> Iterator[Any]:
        """Yield the results of pickled jobs in order. limit: so many of them run at the same time."""
        tasks = [_Task(one, resources, limit) for one in packed]
        with self._changed:
            self._waiting += tasks
            self._grow(len(tasks))
            self._changed.notify_all()
        try:
            for task in tasks:
                while not task.done.wait(_LOOK_SECONDS if resources.in_background else None):
                    if resources.is_over:
                        return
                if task.error is not None:
                    raise task.error
                yield task.result
        finally:
            self._drop(tasks)

    def close(self) -> None:
        """End every process; what still waits gets no answer."""
        self._closing.set()
        with self._changed:
            self._drop_locked([*self._waiting, *self._running])
            self._changed.notify_all()
        for hand in self._hands:
            hand.join()
        for process in self._processes:
            process.close()

    def _grow(self, wanted: int) -> None:
        """Start threads for so many more jobs, up to the number of workers."""
        if not self._hands:
            self._begin(self._look, "look")
        busy = len(self._running)
        while len(self._processes) < min(self._workers, busy + wanted):
            process = WorkerProcess(self._home / f"worker-{len(self._processes) + 1}.log", self._threads)
            self._processes.append(process)
            self._begin(partial(self._serve, process), f"worker-{len(self._processes)}")

    def _begin(self, work: Callable[[], None], name: str) -> None:
        hand = threading.Thread(target=work, name=f"rung-{name}", daemon=True)
        self._hands.append(hand)
        hand.start()

    def _serve(self, process: WorkerProcess) -> None:
        """Hand jobs to a process, one after the other."""
        while (task := self._next(process)) is not None:
            _run(task, process)
            with self._changed:
                self._running.discard(task)
                task.worker = None
                task.done.set()
                self._changed.notify_all()

    def _next(self, process: WorkerProcess) -> _Task | None:
        """Return the next job, None at the end; one in the background only where nothing else waits."""
        with self._changed:
            while not self._closing.is_set():
                allowed = [task for task in self._waiting if len(self._running) < task.limit]
                task = min(allowed, key=lambda one: one.resources.in_background, default=None)
                if task is not None:
                    self._waiting.remove(task)
                    self._running.add(task)
                    task.worker = process
                    return task
                self._changed.wait()
        return None

    def _drop(self, tasks: Sequence[_Task]) -> None:
        with self._changed:
            self._drop_locked(tasks)

    def _drop_locked(self, tasks: Sequence[_Task]) -> None:
        """Forget jobs that nobody waits for any more, and end the processes that run one."""
        for task in tasks:
            task.dropped = True
            if task in self._waiting:
                self._waiting.remove(task)
                task.done.set()
            elif task.worker is not None:
                task.worker.kill()

    def _look(self) -> None:
        while not self._closing.wait(_LOOK_SECONDS):
            for process in list(self._processes):
                process.look()


def _run(task: _Task, process: WorkerProcess) -> None:
    """Fill in what a job comes to; a worker that is lost is replaced, and the job begun again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            task.result, task.error, text = process.ask(task.packed)
        except EOFError:
            if task.dropped:
                return
            wanted = task.resources
            task.error = WorkerLost(wanted.of, process.how, process.peak_mb, wanted.memory_mb, attempt)
            continue
        except Exception as error:  # The process could not be started, or its answer not be read.
            task.error = error
            return
        if task.error is not None:
            task.error = raised(task.error, task.resources.of)
            task.error.__cause__ = RemoteTraceback(text)
        return
