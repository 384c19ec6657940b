"""What a job that may run in another process says while it runs: how far it has come, and whether it is to stop."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Reports closer together than this are dropped; the last step of a fit never is.
_SECONDS_BETWEEN = 0.25
_PROGRESS, _CANCEL = "progress.jsonl", "cancel"
Tell = Callable[[dict[str, Any]], None]


class JobChannel:
    """Progress and cancellation of one job, through files, so that it works from any process on the same disk.

    folder: shared by the jobs of a rung. job: which of them ("fold-1"). deadline: Unix time from which the job counts
    as cancelled.
    """

    def __init__(self, folder: Path, job: str, deadline: float = math.inf) -> None:
        self.folder, self.job, self.deadline = folder, job, deadline
        self._reported = 0.0

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        """Write that `step` of `total` steps are done; at most a few reports a second are kept."""
        now = time.monotonic()
        if step < total and now - self._reported < _SECONDS_BETWEEN:
            return
        self._reported = now
        numbers = {name: float(value) for name, value in metrics.items()}
        line = {"job": self.job, "step": int(step), "total": int(total), "metrics": numbers}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _PROGRESS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def cancelled(self) -> bool:
        """Return whether the job should end: its time is over, or the build that wants it has ended."""
        return time.time() >= self.deadline or (self.folder / _CANCEL).exists()


@contextmanager
def follow(folder: Path, tell: Tell) -> Iterator[None]:
    """Tell what the jobs of a folder report, from a thread, while the block runs; cancel them if it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _CANCEL).unlink(missing_ok=True)
    log = folder / _PROGRESS
    log.touch()
    ended = threading.Event()
    with log.open(encoding="utf-8") as lines:
        lines.seek(0, 2)  # What an earlier, killed build reported is no news.

        def read() -> None:
            while True:
                last = ended.wait(_SECONDS_BETWEEN)
                for line in _whole_lines(lines):
                    tell(json.loads(line))
                if last:
                    return

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield
        except BaseException:
            (folder / _CANCEL).touch()
            raise
        finally:
            ended.set()
            reader.join()


def _whole_lines(lines: Any) -> Iterator[str]:
    """Yield the lines added since the last call; a line that is being written is read next time."""
    while True:
        place = lines.tell()
        line = lines.readline()
        if not line.endswith("\n"):
            lines.seek(place)
            return
        yield line
