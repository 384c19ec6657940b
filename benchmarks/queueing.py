"""How many servers a month's requests take, what they cost, and whether the answers are on time: a simulation of queues.

    python benchmarks/queueing.py      # under a minute

Its parameters are read from the results of other benchmarks: processor time of an answer (serving.md), time of a commit to a shared journal
(shared_journal.md), bytes of a journalled row (journal.md), prices (prices.yaml). Assumed, and said in the result: requests arrive at random (Poisson) at
three times the month's mean rate, a machine has two cores, storage costs 0.10 USD a gigabyte and month. Events are simulated one by one:
requests go to the servers in turn, wait for a core, then for the journal, which serves one server at a time and takes all that wait there. The
simulation is held against Erlang's formula and against the rate that serving.md measured. Writes benchmarks/results/queueing.md.
"""

from __future__ import annotations

import heapq
import math
import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "queueing.md"
PRICES = HERE.parent / "src" / "rung" / "core" / "prices.yaml"
CORES, PEAK, FULLEST, USD_PER_GB = 2, 3.0, 0.6, 0.10
MONTH_S, HOURS, ANSWERS, CHECKED = 30 * 86_400, 730, 40_000, 1_000_000
MONTHLY = (1_000, 1_000_000, 1_000_000_000)


@dataclass(frozen=True)
class Measured:
    """answer_s: processor time; spread: its standard deviation as a share; turn_s, record_s: of a commit, and each record in it."""

    answer_s: float
    spread: float
    rate: float
    turn_s: float
    record_s: float
    row_bytes: float
    usd_per_cpu_hour: float


def measured() -> Measured:
    """Return what the results of other benchmarks say."""
    serving = (HERE / "results" / "serving.md").read_text(encoding="utf-8")
    ours = re.search(r"^\| rung serve, all on \|(.*)\|$", serving, re.M)
    journal = (HERE / "results" / "journal.md").read_text(encoding="utf-8")
    filled = re.search(r"([\d,]+) rows, ([\d.]+) GB", journal)
    shared = (HERE / "results" / "shared_journal.md").read_text(encoding="utf-8")
    turns = {
        int(n): float(rate.replace(",", ""))
        for n, rate in re.findall(r"\| PostgreSQL \| 1 \| (\d+) \| ([\d,]+) \|", shared)
    }
    assert ours and filled and len(turns) == 2
    cells = [float(cell) for cell in ours[1].split("|") if re.fullmatch(r"\s*[\d.]+\s*", cell)]
    few, many = sorted(turns)
    # A turn takes all that wait: n records in n / rate seconds.
    record_s = max((many / turns[many] - few / turns[few]) / (many - few), 0.0)
    price = yaml.safe_load(PRICES.read_text(encoding="utf-8"))["machine"]["usd_per_cpu_hour"]
    # p50 and p99 of one connection: for a normal spread 2.33 standard deviations apart.
    return Measured(
        cells[5] / 1e3, (cells[4] - cells[3]) / 2.33 / cells[3], cells[0], few / turns[few] - few * record_s, record_s,
        float(filled[2]) * 1e9 / int(filled[1].replace(",", "")), price,
    )  # fmt: skip


def simulate(
    rate: float,
    servers: int,
    known: Measured,
    draw: np.random.Generator,
    journal: bool = True,
    check: bool = False,
) -> np.ndarray:
    """Return the seconds that each of many answers took, the first tenth left out. check: with exponential times, and longer."""
    count = CHECKED if check else ANSWERS
    arrivals = np.cumsum(draw.exponential(1 / rate, count))
    if check:
        work = draw.exponential(known.answer_s, count)
    else:
        shape = 1 / known.spread**2
        work = draw.gamma(shape, known.answer_s / shape, count)
    free = [[0.0] * CORES for _ in range(servers)]
    done = np.empty(count)
    for i, at in enumerate(arrivals):
        cores = free[i % servers]
        begun = max(at, heapq.heappop(cores))
        done[i] = begun + work[i]
        heapq.heappush(cores, done[i])
    if journal:
        done = committed(done, servers, known)
    return (done - arrivals)[count // 10 :]


def committed(ready: np.ndarray, servers: int, known: Measured) -> np.ndarray:
    """Return when each record is committed: one server's turn at a time, which takes all that wait there."""
    out = np.empty(len(ready))
    queues = [sorted(range(n, len(ready), servers), key=ready.__getitem__) for n in range(servers)]
    heads, now = [0] * servers, 0.0
    waiting = [(ready[queue[0]], n) for n, queue in enumerate(queues) if queue]
    heapq.heapify(waiting)
    while waiting:
        first, n = heapq.heappop(waiting)
        now = max(now, first)
        begin = end = heads[n]
        while end < len(queues[n]) and end - begin < 1_000 and ready[queues[n][end]] <= now:
            end += 1
        now += known.turn_s + (end - begin) * known.record_s
        out[queues[n][begin:end]] = now
        heads[n] = end
        if end < len(queues[n]):
            heapq.heappush(waiting, (ready[queues[n][end]], n))
    return out


def erlang(rate: float, known: Measured) -> float:
    """Return the mean seconds of an answer in a queue M/M/c (Erlang 1917)."""
    load = rate * known.answer_s
    top = load**CORES / math.factorial(CORES) * CORES / (CORES - load)
    waits = top / (sum(load**k / math.factorial(k) for k in range(CORES)) + top)
    return known.answer_s + waits * known.answer_s / (CORES - load)


def main() -> None:
    known, draw = measured(), np.random.default_rng(0)
    capacity, commits = CORES / known.answer_s, 1 / (known.record_s + known.turn_s / 1_000)
    checked = []
    for share in (0.3, 0.6, 0.9):
        found = float(simulate(share * capacity, 1, known, draw, journal=False, check=True).mean())
        checked.append((share, found * 1e3, erlang(share * capacity, known) * 1e3))
    rows, loads = [], []
    for monthly in MONTHLY:
        peak = monthly / MONTH_S * PEAK
        servers = max(math.ceil(peak / (FULLEST * capacity)), 1)
        shared = servers > 1
        databases = math.ceil(peak / (FULLEST * commits)) if shared else 0
        each = math.ceil(servers / max(databases, 1))
        servers = each * max(databases, 1)
        took = simulate(peak / max(databases, 1), each, known, draw, journal=shared) * 1e3
        gb = monthly * known.row_bytes / 1e9
        used = monthly * known.answer_s / 3600 * known.usd_per_cpu_hour
        machines = (servers + databases) * CORES * HOURS * known.usd_per_cpu_hour
        kept = gb * 3 * USD_PER_GB
        rows.append(
            f"| {monthly:,} | {peak:,.2f} | {servers}{f' and {databases} for databases' if shared else ''} | {np.median(took):.1f} | {np.quantile(took, 0.99):.1f} "
            f"| {gb:,.1f} | {used:,.4f} | {machines:,.0f} | {kept:,.2f} | {machines + kept:,.0f} |"
        )
    peak = MONTHLY[-1] / MONTH_S * PEAK
    for times in (0.1, 0.25, 0.5, 0.75, 1.0):
        servers = max(math.ceil(times * peak / (FULLEST * capacity)), 2)
        took = simulate(times * peak, servers, known, draw) * 1e3
        quarter = len(took) // 4
        grows = took[-quarter:].mean() > 2 * took[:quarter].mean()
        shown = (
            "the queue grows | the queue grows"
            if grows
            else f"{np.median(took):.1f} | {np.quantile(took, 0.99):.1f}"
        )
        loads.append(f"| {times * 1e9:,.0f} | {times * peak:,.0f} | {servers} | {shown} |")
    RESULTS.write_text(
        f"# Servers, queues and money\n\nWritten by `python benchmarks/queueing.py` ({time.strftime('%Y-%m-%d')}, numpy {np.__version__}, {ANSWERS:,} simulated answers a row, seed 0). "
        "A simulation: nothing here was run with so many requests.\n\n"
        "Measured elsewhere and taken over: "
        f"an answer of a sentence encoder takes {known.answer_s * 1e3:.2f} ms of a core, with a standard deviation of {known.spread:.0%} (serving.md); a turn at the shared journal "
        f"{known.turn_s * 1e3:.1f} ms and {known.record_s * 1e3:.2f} ms a record (shared_journal.md, on a busy machine); a journalled row {known.row_bytes:.0f} bytes (journal.md); "
        f"a core {known.usd_per_cpu_hour} USD an hour (prices.yaml). Assumed: {PEAK:.0f} times the mean rate at the peak, machines of {CORES} cores at most {FULLEST:.0%} busy at the peak, rows kept for "
        f"three months, {USD_PER_GB:.2f} USD a gigabyte and month.\n\n"
        "| requests a month | a second at the peak | machines | p50 ms | p99 ms | journal GB a month | USD of processor time used | USD of machines | USD of storage | USD a month |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        "One machine keeps its journal in SQLite, whose commit takes 0.2 ms (journal.md) and is left out.\n\n"
        f"More than one database means as many services, each with its own servers and journal. One takes {commits:,.0f} records a second at most, where "
        "servers, database and load shared two busy cores: a machine of its own takes more. Measure yours with `benchmarks/shared_journal.py`.\n\n"
        "## Where one shared journal ends\n\n"
        "| requests a month | a second at the peak | servers | p50 ms | p99 ms |\n|---|---|---|---|---|\n" + "\n".join(loads) + "\n\n"
        "## Whether the simulation is right\n\n"
        "| busy | simulated mean ms, exponential times | Erlang's formula |\n|---|---|---|\n"
        + "\n".join(f"| {share:.0%} | {found:.2f} | {right:.2f} |" for share, found, right in checked)
        + f"\n\nTwo cores can give {capacity:,.0f} answers a second by their processor time; serving.md measured {known.rate:,.0f}.\n",
        encoding="utf-8",
    )  # fmt: skip
    print(f"wrote {RESULTS.name}")


if __name__ == "__main__":
    main()
