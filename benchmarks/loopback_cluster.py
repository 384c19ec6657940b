"""A Ray cluster of several node processes on the loopback interface: nodes can be added and lost as machines are."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from rung.core.child_process import child_environment
from rung.engines.ray_watcher import HOME, end_leftovers

_START_SECONDS, _STORE = 120.0, 80 * 1024 * 1024


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


class LoopbackCluster:
    """A head and further nodes, each with its own scheduler, agents, store and workers, and `cpus` processors.

    home: a folder whose path is short, since sockets lie below it. Used as a context manager: at its end nothing is left.
    """

    def __init__(
        self, nodes: int = 2, cpus: int = 1, client: bool = False, path: tuple[Path, ...] = ()
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="rc-"))
        self.address = f"127.0.0.1:{free_port()}"
        self.client = f"ray://127.0.0.1:{free_port()}" if client else ""
        self._cpus, self._path, self._count = cpus, path, 0
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        token = self.home / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32), encoding="ascii")
        self._wanted = nodes

    def __enter__(self) -> Self:
        try:
            host, port = self.address.split(":")
            more = ["--ray-client-server-port", self.client.rpartition(":")[2]] if self.client else []
            head = [
                "--head", "--port", port, "--include-dashboard", "false", "--temp-dir", str(self.home / "ray"),
            ]  # fmt: skip
            self._start("head", [*head, *more])
            self._until_started("head")
            if self.client:  # Ray listens at the address of the machine where it is told a loopback one.
                said = (self.home / "head.log").read_text("utf-8")
                place = said.partition("Local node IP: ")[2].split()[0]
                self.client = f"ray://{place}:{self.client.rpartition(':')[2]}"
            for _ in range(self._wanted):
                self.add_node()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def environment(self, address: str = "") -> dict[str, str]:
        """Return the environment of a driver. address: another way to the cluster than its own."""
        found = child_environment()
        found["PYTHONPATH"] = os.pathsep.join([*map(str, self._path), found["PYTHONPATH"]])
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.home / "token")}
        return found | own | {"RAY_ADDRESS": address or self.address, "RAY_USAGE_STATS_ENABLED": "0"}

    def add_node(
        self, path: tuple[Path, ...] = (), before: tuple[str, ...] = (), more: dict[str, str] | None = None
    ) -> str:
        """Start one more node, wait until the cluster has it, and return its name.

        path: folders in which its Python looks first; before: a command that runs its command; more: variables of its environment.
        """
        self._count += 1
        name = f"node-{self._count}"
        found = os.pathsep.join([*map(str, path), self.environment()["PYTHONPATH"]])
        self._start(name, ["--address", self.address], before, {"PYTHONPATH": found, **(more or {})})
        self._until_started(name)
        return name

    def kill_node(self, name: str) -> None:
        """End all processes of a node at once, its scheduler first, as a machine that loses its power."""
        for process in _children(self.nodes[name].pid, "raylet"):
            os.kill(process, signal.SIGKILL)
        self.nodes[name].kill()
        end_leftovers(self.home / name)
        self.nodes.pop(name).wait()

    def kill_worker(self, draw: random.Random) -> str:
        """End one worker process, one that runs a job where there is one, and return what it did; "" where there is none."""
        workers = [
            (pid, title) for pid, title in _titles()
            if title.startswith("ray::") and "Agent" not in title and self._owns(pid)
        ]  # fmt: skip
        busy = [one for one in workers if not one[1].startswith("ray::IDLE")]
        if not workers:
            return ""
        process, title = draw.choice(busy or workers)
        os.kill(process, signal.SIGKILL)
        return title.split()[0]

    def close(self) -> None:
        """End every node, and delete what they wrote."""
        for name in list(self.nodes):
            self.kill_node(name)
        shutil.rmtree(self.home, ignore_errors=True)

    def _start(
        self, name: str, more: list[str], before: tuple[str, ...] = (), own: dict[str, str] | None = None
    ) -> None:
        environment = self.environment() | {HOME: str(self.home / name)} | (own or {})
        environment.pop("RAY_ADDRESS")
        command = [
            *before, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--node-ip-address", "127.0.0.1",
            "--num-cpus", str(self._cpus), "--object-store-memory", str(_STORE), "--disable-usage-stats",
            "--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", str(free_port()), *more,
        ]  # fmt: skip
        with (self.home / f"{name}.log").open("wb") as log:
            self.nodes[name] = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _until_started(self, name: str) -> None:
        log, until = self.home / f"{name}.log", time.monotonic() + _START_SECONDS
        while "Ray runtime started" not in (said := log.read_text("utf-8")):
            if self.nodes[name].poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{name} did not start\n{said[-2000:]}")
            time.sleep(0.2)

    def _owns(self, process: int) -> bool:
        try:
            return f"{HOME}={self.home}/".encode() in (Path("/proc") / str(process) / "environ").read_bytes()
        except OSError:
            return False


def _children(parent: int, name: str) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = status.read_text().rpartition(")")
        except OSError:
            continue
        if int(rest.split()[1]) == parent and head.partition("(")[2] == name:
            found.append(int(status.parent.name))
    return found


def _titles() -> list[tuple[int, str]]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
        found.append((int(path.parent.name), title))
    return found
