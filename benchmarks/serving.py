"""Measure `rung serve` with keys, journal, metrics and limits on, beside other servers of the same model.

    python benchmarks/serving.py [BUNDLE] [--seconds 8] [--rounds 3] [--peers fastapi,litserve,...] [--write]

Without a BUNDLE, that of benchmarks/serving_bundle.py. Needs wrk. Servers run all the time and are loaded in turns,
round after round, on loopback; wrk and servers share the machine, so compare within one run only: the ratios are
medians over rounds of ours to that server in the same round. CPU is processor time of a server's processes a request:
what a busy neighbour disturbs least. The limit is the model in a loop in this process, in one
thread and in two; servers may be above it, as rows that are answered together cost less. Writes benchmarks/results/serving.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from serving_bundle import bundle as own_bundle
from serving_servers import TEXT, Running, Server, servers

import rung
from rung.serving.http.api_keys import KeyStore

CONNECTIONS = (1, 32)
RESULTS = Path(__file__).parent / "results" / "serving.md"
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
SCRIPT = "wrk.method = 'POST'\nwrk.body = %s\n%s"
Loaded = tuple[float, float, float, float]
# In process: predictions a second and p50 of one thread, predictions a second of two, p50 of one that pauses.
Limit = tuple[float, float, float, float]
# A core that sleeps, if only so long, wakes slowly and with a cold cache: on a virtual machine a prediction then takes up to a
# quarter longer, and every server waits for its next request.
PAUSE = 1e-4


@dataclass
class Measured:
    """Of one server: seconds until its first answer, MB at the end, what `load` gives, a round and number of connections."""

    ready: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    rounds: dict[int, list[Loaded]] = field(default_factory=dict)


def load(running: Running, connections: int, seconds: float, folder: Path) -> Loaded:
    """Return requests a second, p50, p99 and the server's processor time a request in milliseconds; every answer must be 2xx."""
    server = running.server
    headers = "".join(
        f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}\n" for k, v in server.headers().items()
    )
    script = folder / "ask.lua"
    script.write_text(SCRIPT % (json.dumps(server.body.decode()), headers))
    before = running.cpu_seconds()
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "20s", "--latency", "-s", str(script),
         f"http://127.0.0.1:{running.port}{server.path}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if "Non-2xx" in done or "Socket errors" in done:
        raise SystemExit(f"{server.title}: {done}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done)
    quantiles = {q: float(v) * UNITS[u] for q, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s|m)\b", done)}
    answers = re.search(r"(\d+) requests in", done)
    if rate is None or answers is None:
        raise SystemExit(done)
    cpu = (running.cpu_seconds() - before) / int(answers[1]) * 1e3
    return float(rate[1]), quantiles["50"], quantiles["99"], cpu


def in_process(bundle: Path, seconds: float, threads: int, pause: float = 0.0) -> tuple[float, float]:
    """Return predictions a second in a loop of so many threads, and p50 in milliseconds, each after a pause."""
    model = rung.load(bundle)
    model.predict([TEXT])
    taken: list[float] = []
    end = time.perf_counter() + seconds

    def loop() -> None:
        while (begun := time.perf_counter()) < end:
            model.predict([TEXT])
            taken.append(time.perf_counter() - begun)
            if pause:
                time.sleep(pause)

    running = [Thread(target=loop) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return len(taken) * threads / sum(taken), statistics.median(taken) * 1e3


def measure(bundle: Path, contenders: list[Server], rounds: int, seconds: float, folder: Path) -> tuple[dict[str, Measured], list[Limit]]:  # fmt: skip
    """Return what each server did, and the limit each round."""
    found = {server.title: Measured() for server in contenders}
    limit: list[Limit] = []
    for _ in range(rounds):
        for server in contenders:
            running = Running(server, bundle)
            running.end()
            found[server.title].ready.append(running.ready_seconds)
    alive: list[Running] = []
    try:
        for server in contenders:
            alive.append(Running(server, bundle))
            load(alive[-1], 8, 1.0, folder)
        for _ in range(rounds):
            limits: dict[int, tuple[float, float]] = {}
            for connections in CONNECTIONS:
                for running in alive:
                    loaded = load(running, connections, seconds, folder)
                    found[running.server.title].rounds.setdefault(connections, []).append(loaded)
                limits[connections] = in_process(bundle, seconds / 2, min(connections, 2))
            paused = in_process(bundle, seconds / 2, 1, PAUSE)[1]
            limit.append((*limits[1], limits[32][0], paused))
        for running in alive:
            found[running.server.title].memory_mb = running.memory_mb()
    finally:
        for running in alive:
            running.end()
    return found, limit


def table(found: dict[str, Measured], limit: list[Limit]) -> str:
    """Return the figures as Markdown: medians over rounds, and ours to each server round by round."""
    ours = next(iter(found.values()))
    rate, p50, rate_two, paused = (statistics.median(values) for values in zip(*limit, strict=True))
    lines = [
        "| server | requests/s, 32 | p50 ms, 32 | p99 ms, 32 | p50 ms, 1 | p99 ms, 1 | CPU ms, 32 | CPU ms, 1 | MB | ready s | ours to it: requests/s, 32 | p99, 32 | p50, 1 | CPU, 32 | CPU, 1 |",
        "|" + "---|" * 15,
        f"| in process, one thread | {rate:.0f} | | | {p50:.2f} | | | | | | | | | | |",
        f"| in process, one thread, after a pause of {PAUSE * 1e3:g} ms | | | | {paused:.2f} | | | | | | | | | | |",
        f"| in process, two threads | {rate_two:.0f} | | | | | | | | | | | | | |",
    ]  # fmt: skip
    for title, measured in found.items():
        one, many = ([statistics.median(v) for v in zip(*measured.rounds[c], strict=True)] for c in (1, 32))
        ratios = [
            statistics.median(a[place] / b[place] for a, b in zip(ours.rounds[c], measured.rounds[c], strict=True))
            for c, place in ((32, 0), (32, 2), (1, 1), (32, 3), (1, 3))
        ]  # fmt: skip
        lines.append(
            f"| {title} | {many[0]:.0f} | {many[1]:.1f} | {many[2]:.0f} | {one[1]:.2f} | {one[2]:.1f} | {many[3]:.2f} | {one[3]:.2f} | {measured.memory_mb:.0f} | "
            f"{min(measured.ready):.1f} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |"
        )
    over, over_paused = (
        statistics.median(a[1] - b[place] for a, b in zip(ours.rounds[1], limit, strict=True))
        for place in (1, 3)
    )
    lines.append(
        f"\nOurs at one connection is {over:.2f} ms over the loop in process, {over_paused:.2f} over the one that pauses as a server "
        "does between requests. Ready: the soonest of its starts."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="fastapi,litserve,litserve_two,bentoml,mlflow,granian")
    parser.add_argument("--note", default="", help="what else to know of the machine, for the results file")
    parser.add_argument("--write", action="store_true", help="also write the results file")
    asked = parser.parse_args()
    bundle = asked.bundle or own_bundle()
    name = rung.load(bundle).manifest.name
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _, key = KeyStore(folder).create("bench", "predict")
        contenders = servers(bundle, name, folder, key, [peer for peer in asked.peers.split(",") if peer])
        begun = os.getloadavg()[0]
        found, limit = measure(bundle, contenders, asked.rounds, asked.seconds, folder)
    head = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {asked.rounds} rounds of {asked.seconds:g} s; "
        f"load of the machine before: {begun:.1f}. {asked.note}\n\n"
    )
    print(head + table(found, limit))
    if asked.write:
        RESULTS.write_text(
            f"# Serving\n\n`python benchmarks/serving.py --write`\n\n{head}{table(found, limit)}\n"
        )


if __name__ == "__main__":
    main()
