"""Measure `rung serve` with keys, journal, metrics and limits on, beside a hand-made FastAPI server of the same bundle.

    python benchmarks/serving.py BUNDLE [--seconds 10] [--rounds 3]

The model reads one text. Servers take turns, several rounds, on loopback; client and servers share the machine, so
compare within one run only. The limit is the same model in a loop in this process, one thread. Prints the table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import rung
from rung.serve.keys import KeyStore

TEXT = "The striker scored twice in the cup final and the coach praised his young team after a long evening match"
CONNECTIONS = (1, 32)
# What a person writes in half an hour: no keys, no journal, no metrics, no limits.
BY_HAND = """
import sys, uvicorn, rung
from fastapi import FastAPI
from pydantic import BaseModel
model, app = rung.load(sys.argv[1]), FastAPI()
class Row(BaseModel):
    text: str
class Ask(BaseModel):
    inputs: Row
@app.get("/readyz")
def readyz():
    return {}
@app.post("/v1/models/{name}/predict")
def predict(name: str, asked: Ask):
    answer = model.predict([asked.inputs.text])[0]
    return {"label": str(answer.value), "probability": answer.score}
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""


@dataclass
class Measured:
    """Of one server: ready after, memory at the end, and per number of connections (requests/s, p50, p99 ms) a round."""

    ready_seconds: float = 0.0
    memory_mb: float = 0.0
    rounds: dict[int, list[tuple[float, float, float]]] = field(default_factory=dict)


async def load(port: int, request: bytes, connections: int, seconds: float) -> tuple[float, float, float]:
    """Return requests a second, p50 and p99 in milliseconds; every answer must be 200."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            begun = time.perf_counter()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            taken.append(time.perf_counter() - begun)
            if b" 200 " not in head[:15]:
                raise SystemExit(f"answered with {head[:40]!r}")
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    taken.sort()
    return len(taken) / seconds, taken[len(taken) // 2] * 1e3, taken[int(len(taken) * 0.99)] * 1e3


def request_for(name: str, key: str) -> bytes:
    """Return the request, ready to send."""
    body = json.dumps({"inputs": {"text": TEXT}}).encode()
    lines = [f"POST /v1/models/{name}/predict HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}"] + ([f"Authorization: Bearer {key}"] if key else [])
    return "\r\n".join([*lines, "", ""]).encode() + body


def measure(command: list[str], port: int, request: bytes, seconds: float, found: Measured) -> None:
    """Start a server, load it with each number of connections, stop it."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{command[2]} ended at once") from None
                time.sleep(0.02)
        found.ready_seconds = time.perf_counter() - begun
        asyncio.run(load(port, request, 8, 1.0))
        for connections in CONNECTIONS:
            found.rounds.setdefault(connections, []).append(
                asyncio.run(load(port, request, connections, seconds))
            )
        status = Path(f"/proc/{process.pid}/status")
        if status.is_file():
            rss = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
            found.memory_mb = int(rss.split()[1]) / 1e3
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def in_process(bundle: Path) -> tuple[float, float]:
    """Return predictions a second in a loop, and p50 in milliseconds."""
    model, taken = rung.load(bundle), []
    for _ in range(400):
        begun = time.perf_counter()
        model.predict([TEXT])
        taken.append(time.perf_counter() - begun)
    return len(taken) / sum(taken), sorted(taken)[len(taken) // 2] * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    name = rung.load(asked.bundle).manifest.name
    found = {"rung serve, all on": Measured(), "FastAPI by hand": Measured()}
    with tempfile.TemporaryDirectory() as folder:
        _, key = KeyStore(Path(folder)).create("bench", "predict")
        for _ in range(asked.rounds):
            for label, measured in found.items():
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    port = free.getsockname()[1]
                ours = ["-m", "rung.cli", "serve", str(asked.bundle), "--folder", folder, "--port", str(port), "--uncertified"]  # fmt: skip
                is_ours = label.startswith("rung")
                command = [
                    sys.executable,
                    *(ours if is_ours else ["-c", BY_HAND, str(asked.bundle), str(port)]),
                ]
                measure(command, port, request_for(name, key if is_ours else ""), asked.seconds, measured)
    rate, p50 = in_process(asked.bundle)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}\n"
    )
    print(
        "| server | connections | requests/s | p50 ms | p99 ms | MB | ready s |\n|---|---|---|---|---|---|---|"
    )
    print(f"| in process, one thread | | {rate:.0f} | {p50:.2f} | | | |")
    for label, measured in found.items():
        for connections, rounds in measured.rounds.items():
            # The median round: a neighbour on the machine spoils single ones.
            rate, p50, p99 = (sorted(values)[len(rounds) // 2] for values in zip(*rounds, strict=True))
            print(
                f"| {label} | {connections} | {rate:.0f} | {p50:.2f} | {p99:.1f} | {measured.memory_mb:.0f} | {measured.ready_seconds:.1f} |"
            )


if __name__ == "__main__":
    main()
