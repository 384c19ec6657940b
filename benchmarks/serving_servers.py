"""The servers that benchmarks/serving.py compares: how each is started, asked and ended, and what memory it holds."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import HERE, Peer, environment

ROOT = HERE.parent
WORKERS = HERE / "workers"
TEXT = "the striker scored twice in the cup final and the coach praised his young team after a long evening match"
_READY_SECONDS = 240.0
# A peer runs the same model by the same code: this package, in its environment.
OURS = ("-e", str(ROOT))
PEERS = {
    name: Peer(title, worker, (*OURS, *packages))
    for name, title, worker, packages in (
        ("fastapi", "FastAPI by hand", "serve_fastapi", ("fastapi==0.165.0", "uvicorn[standard]==0.54.0")),
        ("litserve", "LitServe", "serve_litserve", ("litserve==0.2.19",)),
        ("litserve_two", "LitServe, 2 workers", "serve_litserve", ("litserve==0.2.19",)),
        ("bentoml", "BentoML, 2 threads", "serve_bentoml", ("bentoml==1.4.35",)),
        ("mlflow", "MLflow's server", "serve_mlflow", ("mlflow==3.15.0",)),
    )
}
# The same package and extras as `rung serve` has, besides the other server.
GRANIAN = Peer("rung on granian, all on", "serve_granian", ("-e", f"{ROOT}[ops]", "granian[uvloop]==2.8.7"))


@dataclass(frozen=True)
class Server:
    """command: from a port to how it starts. path, body: one question about TEXT."""

    title: str
    command: Callable[[int], Sequence[str]]
    path: str = "/predict"
    body: bytes = json.dumps({"inputs": {"text": TEXT}}).encode()
    key: str = ""
    cwd: Path = HERE

    def headers(self) -> dict[str, str]:
        """Return what every question is sent with."""
        key = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return {"Content-Type": "application/json", **key}


def servers(bundle: Path, name: str, folder: Path, key: str, only: Sequence[str]) -> list[Server]:
    """Return ours and the peers that are asked for, their environments made."""
    ours = ["-m", "rung.cli", "serve", str(bundle), "--folder", str(folder), "--uncertified", "--port"]
    path = f"/v1/models/{name}/predict"
    found = [
        Server("rung serve, all on", lambda port: [sys.executable, *ours, str(port)], path=path, key=key)
    ]
    for peer in only:
        found.append(_peer(peer, bundle, path, folder, key))
    return found


def _peer(name: str, bundle: Path, path: str, folder: Path, key: str) -> Server:
    peer = GRANIAN if name == "granian" else PEERS[name]
    python = environment(peer)
    script = [str(python), str(WORKERS / f"{peer.worker}.py")]
    if name == "granian":
        module = [str(python), "-m", "workers.serve_granian", str(bundle)]
        return Server(peer.title, lambda port: [*module, str(port), str(folder)], path=path, key=key)
    if name == "bentoml":
        start = [str(python.with_name("bentoml")), "serve", "serve_bentoml:Posts", "--port"]
        return Server(peer.title, lambda port: [*start, str(port)], cwd=WORKERS)
    if name == "mlflow":
        packed = folder / "mlflow"
        subprocess.run([*script, str(packed)], check=True, capture_output=True)
        start = [str(python.with_name("mlflow")), "models", "serve", "-m", str(packed), "--env-manager", "local", "-p"]  # fmt: skip
        body = json.dumps({"dataframe_records": [{"text": TEXT}]}).encode()
        return Server(peer.title, lambda port: [*start, str(port)], path="/invocations", body=body)
    more = ["2"] if name == "litserve_two" else []
    return Server(peer.title, lambda port: [*script, str(bundle), str(port), *more])


class Running:
    """A started server; `end` it. Raises SystemExit when it does not answer in time."""

    def __init__(self, server: Server, bundle: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.server = server
        command = list(server.command(self.port))
        begun = time.perf_counter()
        # A group of its own, not a session: Linux shares the cores among sessions (autogroup) before it looks at `nice`,
        # and a server would not have the priority that this script was started with.
        self.process = subprocess.Popen(
            command, cwd=server.cwd, env=_variables(command[0], bundle), process_group=0,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not self.asked():
            if self.process.poll() is not None or time.perf_counter() - begun > _READY_SECONDS:
                self.end()
                raise SystemExit(f"{server.title} did not start: {' '.join(command)}")
            time.sleep(0.01)
        self.ready_seconds = time.perf_counter() - begun

    def asked(self) -> bool:
        """Return whether it answers a question with 200."""
        url = f"http://127.0.0.1:{self.port}{self.server.path}"
        try:
            request = urllib.request.Request(url, self.server.body, self.server.headers())
            with urllib.request.urlopen(request, timeout=5) as reply:
                return bool(reply.status == 200)
        except (OSError, urllib.error.HTTPError):
            return False

    def memory_mb(self) -> float:
        """Return the resident memory of all its processes, megabytes."""
        return sum(_resident(pid) for pid in self._family()) / 1e3

    def cpu_seconds(self) -> float:
        """Return the processor time that its processes have used."""
        ticks = 0
        for pid in self._family():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Stop all its processes."""
        family = self._family()
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for pid in family:
                _tell(pid, sent)
            end = time.monotonic() + 20
            while time.monotonic() < end and any(_resident(pid) for pid in family):
                self.process.poll()
                time.sleep(0.05)

    def _family(self) -> list[int]:
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    found += [int(child) for child in task.read_text().split()]
                except OSError:
                    continue
        return found


def _tell(pid: int, sent: signal.Signals) -> None:
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def _variables(python: str, bundle: Path) -> dict[str, str]:
    kept: dict[str, Any] = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if python != sys.executable:
        kept.pop("PYTHONPATH", None)
    return {
        **kept,
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
        "BUNDLE": str(bundle),
        "BENTOML_DO_NOT_TRACK": "True",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        # The journal encrypts what it keeps.
        "RUNG_MASTER_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    }
