"""One worker process as its parent sees it: started when it gets a job, replaced when it is lost."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from rung.core.child_process import child_environment
from rung.engines.frames import receive, send

# A process that no longer answers has so long to end by itself: its own code says more than ours.
_END_SECONDS = 5.0
_TAIL_BYTES = 2_000


class WorkerProcess:
    """A process that answers one job at a time. log: where what its jobs print goes; threads: of its libraries.

    peak_mb: the most memory that the process of the current job was seen to hold, in 10^6 bytes.
    """

    def __init__(self, log: Path, threads: int) -> None:
        self._log, self._threads = log, threads
        self._process: subprocess.Popen[bytes] | None = None
        self.peak_mb = 0.0
        self.how = ""

    def ask(self, packed: bytes) -> tuple[Any, BaseException | None, str]:
        """Return (result, error, traceback) of a job; raises EOFError where the process ended instead: see `how`."""
        self.peak_mb, process = 0.0, self._started()
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are pipes
        try:
            send(process.stdin, packed)
            packed = receive(process.stdout)
        except (EOFError, OSError):
            self.how = _how_it_ended(_end_of(process)) + self._last_words()
            self.close()
            raise EOFError from None
        # From this program itself, over a pipe that nobody else has.
        answer: tuple[Any, BaseException | None, str] = pickle.loads(packed)  # noqa: S301
        return answer

    def look(self) -> None:
        """Note how much memory the process has held at most; Linux alone tells."""
        process = self._process
        if process is None:
            return
        try:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return
        high = next((line for line in status.splitlines() if line.startswith("VmHWM")), None)
        if high is not None:
            self.peak_mb = max(self.peak_mb, int(high.split()[1]) * 1024 / 1e6)

    def kill(self) -> None:
        """End the process, whatever it does."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process and wait for it."""
        self.kill()
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def _last_words(self) -> str:
        """Return the last line that the process wrote, which often says why it ended."""
        with self._log.open("rb") as log:
            log.seek(max(self._log.stat().st_size - _TAIL_BYTES, 0))
            lines = log.read().decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f"; its last words: {said[-1]}" if said else ""

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "rung.engines.worker"],
                    env=child_environment(self._threads), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                )  # fmt: skip
        return self._process


def _end_of(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a process that has closed its output; one that lives on is ended."""
    try:
        return process.wait(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _how_it_ended(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"it ended with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"it was killed ({name})" + (", as systems do when memory runs out" if name == "SIGKILL" else "")


def free_memory_mb() -> float | None:
    """Return the memory that a new process may use, in 10^6 bytes; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    line = next((line for line in lines if line.startswith("MemAvailable")), None)
    return None if line is None else int(line.split()[1]) * 1024 / 1e6
