"""How fast servers write to one journal on PostgreSQL, beside a journal of SQLite, and how soon they follow a change.

    python benchmarks/shared_journal.py       # about two minutes; needs PostgreSQL's programs (Debian: postgresql) and rung[postgres]

Each writer is a process with a journal of its own and 8 or 64 threads, which submit records of one prediction each and wait for the commit, as
requests do. PostgreSQL runs on the same machine with fsync on, reached over loopback. Writes benchmarks/results/shared_journal.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from sqlalchemy import text

from postgresql_cluster import Cluster
from rung.journal.postgres import VARIABLE, open_shared, shared_url
from rung.journal.records import PredictionRecord, new_id
from rung.journal.writer import Journal
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.shared_limit import SharedRateLimit
from rung.serving.shared_state import SharedFolder

RESULTS = Path(__file__).parent / "results" / "shared_journal.md"
THREADS, CHANGES = (8, 64), 20


def record() -> PredictionRecord:
    inputs = {"text": "Where is the invoice of last month? " * 4}
    output = {"label": "billing", "probability": 0.93}
    return PredictionRecord(
        new_id(), time.time(), "r" * 16, "desk", "v1", "tfidf_linear", "shop", None, inputs, output, 1.5, 1e-7
    )


def write(folder: Path, seconds: float, count: int) -> None:
    """Write for some seconds and print how many records were committed, and the milliseconds of the median and the slowest in 100."""
    journal = Journal(folder, "plain")
    took: list[float] = []
    until = time.perf_counter() + seconds

    def one() -> None:
        while (begun := time.perf_counter()) < until:
            journal.write(record())
            took.append((time.perf_counter() - begun) * 1000)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    print(len(took), statistics.median(took), statistics.quantiles(took, n=100)[98])


def writers(count: int, folder: Path, seconds: float, each: int = 8) -> str:
    """Return a line of the table: records a second of so many processes together, median and 99 % of the slowest of them."""
    command = [
        sys.executable,
        __file__,
        "--write",
        str(folder),
        "--seconds",
        str(seconds),
        "--threads",
        str(each),
    ]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    found = [list(map(float, process.communicate()[0].split())) for process in running]
    rate = sum(one[0] for one in found) / seconds
    line = f"{count} | {each} | {rate:,.0f} | {max(one[1] for one in found):.1f} | {max(one[2] for one in found):.1f}"
    print(line, flush=True)
    return line


def follows(folder: Path) -> tuple[float, float]:
    """Return the median and the longest seconds until another server has a new key."""
    one, other = folder / "one", folder / "other"
    shared, stop, took = SharedFolder(other), threading.Event(), []
    thread = threading.Thread(target=shared.follow, args=(stop,))
    thread.start()
    for number in range(CHANGES):
        _, token = KeyStore(one).create(f"k{number}", "predict")
        begun, keys = time.perf_counter(), KeyStore(other)
        while keys.find(token) is None:
            time.sleep(0.01)
        took.append(time.perf_counter() - begun)
    stop.set()
    thread.join()
    return statistics.median(took), max(took)


def leases() -> float:
    """Return the milliseconds that a lease of requests takes, the median of 200."""
    limit = SharedRateLimit(open_shared(shared_url()))  # type: ignore[arg-type]
    took = []
    for _ in range(200):
        begun = time.perf_counter()
        limit._take("key", 6_000_000)
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=8, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=10)
    asked = parser.parse_args()
    if asked.write:
        write(asked.write, asked.seconds, asked.threads)
        return
    with tempfile.TemporaryDirectory() as scratch:
        sqlite = writers(1, Path(scratch) / "sqlite", asked.seconds)
        cluster = Cluster(durable=True, listens=True)
        cluster.start()
        os.environ[VARIABLE] = cluster.url
        try:
            lines = [
                writers(count, Path(scratch) / "pg", asked.seconds, each)
                for count in (1, 2)
                for each in THREADS
            ]
            median, longest = follows(Path(scratch))
            lease = leases()
            with open_shared(shared_url()).connect() as connection:  # type: ignore[arg-type]
                version = str(connection.scalar(text("show server_version")))
        finally:
            cluster.stop()
            cluster.remove()
    rows = "\n".join(f"| PostgreSQL | {line} |" for line in lines)
    RESULTS.write_text(
        f"# One journal on PostgreSQL\n\nWritten by `python benchmarks/shared_journal.py`. {time.strftime('%Y-%m-%d')}, Python "
        f"{platform.python_version()}, PostgreSQL {version} on the same machine with fsync on, {platform.machine()}, {os.cpu_count()} cores "
        f"shared with other work (load {os.getloadavg()[0]:.1f} at the end). Each thread of a writer waits for its commit; {asked.seconds:.0f} seconds.\n\n"
        "| journal | writers | threads of each | records a second, all together | median ms | 99 % ms |\n|---|---|---|---|---|---|\n"
        f"| SQLite, a file | {sqlite} |\n{rows}\n\n"
        "SQLite acknowledges what the operating system has, and syncs within 50 ms; PostgreSQL acknowledges what is on disk. A turn writes all "
        "that wait, so the rate grows with what waits; encoding and sending are done by each writer beside the others.\n\n"
        f"A new API key was known to another server after {median:.2f} s (median of {CHANGES}), {longest:.2f} s at most. A lease of "
        f"requests from a shared limit takes {lease:.1f} ms (median of 200).\n",
        encoding="utf-8",
    )  # fmt: skip
    print(f"wrote {RESULTS.name}")


if __name__ == "__main__":
    main()
