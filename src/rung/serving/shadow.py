"""Shadow runs: a challenger predicts the champion's requests without slowing or breaking its responses.

A request is submitted after the champion's response is sent and in the journal. Submitting never blocks: the queue is
bounded, and requests that do not fit are skipped and counted. The challenger runs in a process of the lowest priority
(`serving.shadow_worker`), fed by one thread of the server. A crash or timeout is recorded as an error; after a few in a
row the shadow run stops.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.errors import RungError
from rung.core.logs import log
from rung.serving.http.request_body import RequestBody
from rung.serving.model_registry import LoadedModel
from rung.serving.service import Service
from rung.serving.shadow_state import NAME, Shadow, read_shadows

if TYPE_CHECKING:
    from rung.journal.writer import Journal

_POLL_SECONDS = 0.25
# Loading a bundle may take long at the lowest priority on a busy machine.
_OPEN_SECONDS = 300.0
_MAX_FAILURES = 3
# Queued bodies and responses, of all challengers together.
_MAX_QUEUED_BYTES = 32 << 20
CRASHED, TIMED_OUT = "broke", "slow"


@dataclass(frozen=True)
class _ShadowRequest:
    """An answered request in the queue of a challenger."""

    name: str
    shadow: Shadow
    body: RequestBody
    answer: bytes


class ShadowProcess:
    """The subprocess of a challenger. Calls raise ChildProcessError when it has ended, TimeoutError when it is too slow."""

    def __init__(self, bundle: str, max_rows: int) -> None:
        command = [sys.executable, "-m", "rung.serving.shadow_worker", bundle, str(max_rows)]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="rung-shadow-read", daemon=True)
        self._reader.start()
        self._is_open = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, body: RequestBody, answer: bytes, seconds: float) -> dict[str, Any]:
        """Return the result of `shadow_worker.compare_answers`. The first call waits until the bundle is loaded."""
        if not self._is_open and "version" not in self._read_line(_OPEN_SECONDS):
            raise ChildProcessError("the bundle cannot be loaded")
        self._is_open = True
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        sizes = {"body": len(body.content), "answer": len(answer), "content_type": body.content_type}
        try:
            self._process.stdin.write(json.dumps(sizes).encode() + b"\n" + body.content + answer)
            self._process.stdin.flush()
        except (OSError, ValueError):  # A broken or closed pipe.
            raise ChildProcessError("the process ended") from None
        return self._read_line(seconds)

    def close(self) -> None:
        """Kill the process: its results are not needed any more."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def _read_line(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
            if line:
                found: dict[str, Any] = json.loads(line)
                return found
        except queue.Empty:
            self.close()
            raise TimeoutError from None
        self.close()
        raise ChildProcessError("the process ended")


class ShadowRunner:
    """Runs the challengers named in `shadows.json`. Needs a journal: without one nothing runs in shadow."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._file_state: Any = None
        self._active: dict[str, Shadow] = {}
        self._processes: dict[str, ShadowProcess] = {}
        self._failures: dict[str, int] = {}
        self._skipped: dict[str, int] = {}
        self._queued: dict[str, int] = {}
        self._bytes = 0
        self._queue: queue.SimpleQueue[_ShadowRequest | None] = queue.SimpleQueue()
        self._stop = threading.Event()

    def submit(self, loaded: LoadedModel, body: RequestBody, answer: bytes) -> None:
        """Queue a request that is answered and in the journal. Never blocks, never raises."""
        name = loaded.manifest.name
        shadow = self._active.get(name)
        if shadow is None or shadow.champion != loaded.manifest.version:
            return
        size = len(body.content) + len(answer)
        with self._lock:
            waits = self._queued.get(name, 0)
            fits = waits < shadow.waiting and self._bytes + size <= _MAX_QUEUED_BYTES
            if fits:
                self._queued[name] = waits + 1
                self._bytes += size
            else:
                self._skipped[name] = self._skipped.get(name, 0) + 1
        if fits:
            self._queue.put(_ShadowRequest(name, shadow, body, answer))
        else:
            self._service.metrics.shadow_skipped.add(name, shadow.version)

    def run(self) -> None:
        """Process the queue until `stop`; run this in its own thread."""
        looked = 0.0
        try:
            while not self._stop.is_set():
                if time.monotonic() - looked >= _POLL_SECONDS:
                    self._reload_shadows()
                    looked = time.monotonic()
                try:
                    request = self._queue.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    continue
                if request is None:
                    continue
                with self._lock:
                    self._queued[request.name] -= 1
                    self._bytes -= len(request.body.content) + len(request.answer)
                if self._active.get(request.name) == request.shadow:
                    self._run_challenger(request)
        except Exception as error:
            # A bug of rung: end the shadow run and keep serving.
            self._active = {}
            log("shadow failed", logging.ERROR, error=type(error).__name__)
        finally:
            self._active = {}
            for name in list(self._processes):
                self._stop_process(name)

    def stop(self) -> None:
        """End `run`, even in the middle of a request."""
        self._stop.set()
        self._queue.put(None)
        for process in list(self._processes.values()):
            process.close()

    def _reload_shadows(self) -> None:
        """Reload `shadows.json` if it changed."""
        if self._service.folder is None or self._service.journal is None:
            return
        path = self._service.folder / NAME
        mark = _file_state(path)
        if mark == self._file_state:
            return
        self._file_state = mark
        try:
            shadows = read_shadows(self._service.folder)
        except RungError as error:
            log("shadow not followed", logging.ERROR, problem=error.problem)
            shadows = {}
        for name in {*self._processes, *shadows}:
            if shadows.get(name) != self._active.get(name):
                self._stop_process(name)
                self._failures.pop(name, None)
                with self._lock:
                    self._skipped.pop(name, None)
                if name in shadows:
                    log("shadow begins", model=name, version=shadows[name].version)
        self._active = shadows

    def _run_challenger(self, request: _ShadowRequest) -> None:
        """Send a request to the challenger and write its answers to the journal."""
        name, shadow = request.name, request.shadow
        try:
            if name not in self._processes:
                self._processes[name] = ShadowProcess(shadow.bundle, self._service.limits.rows)
            said = self._processes[name].ask(request.body, request.answer, self._service.limits.seconds)
            self._failures[name] = 0
        except (OSError, ValueError) as error:
            if self._stop.is_set():
                return
            why = TIMED_OUT if isinstance(error, TimeoutError) else CRASHED
            said = {"rows": _failed_rows(request.answer, why), "cpu_s": 0.0}
            self._stop_process(name)
            self._failures[name] = self._failures.get(name, 0) + 1
            log("shadow failed a request", logging.WARNING, model=name, version=shadow.version, why=why)
        self._write(request, said)
        if self._failures[name] >= _MAX_FAILURES:
            log("shadow given up", logging.ERROR, model=name, version=shadow.version)
            self._active = {other: one for other, one in self._active.items() if other != name}

    def _write(self, request: _ShadowRequest, said: dict[str, Any]) -> None:
        from rung.journal.records import ShadowRecord, new_id, output_as_json

        name, version, metrics = request.name, request.shadow.version, self._service.metrics
        rows: Sequence[dict[str, Any]] = said["rows"]
        if not rows:
            return
        metrics.shadow_seconds.observe(said["cpu_s"], name, version)
        each, price = said["cpu_s"] / len(rows), self._service.prices.usd(said["cpu_s"] / len(rows))
        with self._lock:
            skipped = self._skipped.pop(name, 0)
        records = []
        for nth, row in enumerate(rows):
            outcome = {None: "answered", True: "same", False: "differs"}[row["same"]]
            metrics.shadow_rows.add(name, version, "error" if row["error"] else outcome)
            output = None if row["output"] is None else output_as_json(row["output"])
            records.append(
                ShadowRecord(
                    new_id(), time.time(), row["id"], version, output, row["error"], round(each * 1000, 4), price,
                    0 if nth else skipped,
                )
            )  # fmt: skip
        journal: Journal | None = self._service.journal
        if journal is not None:
            journal.submit(records, _log_write_failure)

    def _stop_process(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            process.close()


def _failed_rows(answer: bytes, why: str) -> list[dict[str, Any]]:
    """Return a request's rows, each with the same error."""
    rows = json.loads(answer)["predictions"]
    return [{"id": r["id"], "output": None, "same": None, "error": why} for r in rows if "error" not in r]


def _log_write_failure(error: BaseException | None) -> None:
    if error is not None:
        log("shadow not written", logging.WARNING, error=type(error).__name__)


def _file_state(path: Path) -> Any:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
