"""Measure what an engine costs: 200 small jobs in two worker processes, beside a bare pool of processes, and on Ray.

    python benchmarks/scale_out.py [--ray]

Starts are counted for the processes of this machine, and shown apart for Ray.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rung.core.child_process import child_environment
from rung.core.engine import Place, Resources
from rung.engines.local import LocalEngine
from rung.engines.ray import RayEngine

JOBS, WORKERS = range(200), 2
RESULT = Path(__file__).parent / "results" / "scale_out.md"


def bare() -> float:
    begun = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        assert len(list(pool.map(child_environment, JOBS))) == len(JOBS)
    return time.perf_counter() - begun


def engine(made: LocalEngine | RayEngine) -> tuple[float, float]:
    """Return the seconds of starting (an empty map included) and of the jobs."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as home, made.running(Place(Path(home) / "engine", WORKERS, 1)):
        if isinstance(made, RayEngine):
            list(made.map(child_environment, [1], Resources()))
        started = time.perf_counter()
        assert len(list(made.map(child_environment, JOBS, Resources()))) == len(JOBS)
        return started - begun, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ray", action="store_true", help="also on Ray, started for it")
    asked = parser.parse_args()
    pool, local = [bare() for _ in range(3)], [sum(engine(LocalEngine())) for _ in range(3)]
    lines = [
        "# 200 small jobs\n", f"`python benchmarks/scale_out.py{' --ray' if asked.ray else ''}`\n",
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}\n",
        "| 200 jobs, 2 workers | seconds, three times |", "|---|---|",
        f"| bare pool of spawned processes, its start included | {', '.join(f'{s:.2f}' for s in pool)} |",
        f"| engine `local`, its start included | {', '.join(f'{s:.2f}' for s in local)} |",
    ]  # fmt: skip
    if asked.ray:
        start, seconds = engine(RayEngine())
        lines.append(f"| engine `ray`, once; its start took {start:.1f} s | {seconds:.2f} |")
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
