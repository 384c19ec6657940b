"""Tables against named peers on real data: ROC-AUC, log loss, fit time, speed, size.

    python benchmarks/tabular.py                                   # all tables, five splits, ours and the quick peers
    python benchmarks/tabular.py --contenders flaml autogluon      # these contenders instead
    python benchmarks/tabular.py --case credit --splits 0 1 --minutes 20
    python benchmarks/tabular.py --write                           # only the page, from what is kept

Stratified splits, a quarter to test (random_state is the split's number). Ours train with `certify: {fraction: 0}` on the same
rows as the peers; their figures are of the packed bundle. Each run of a contender on a split is a line of
benchmarks/results/tabular.jsonl, kept and not run again, so that a comparison of hours can be made in pieces. `--loaded` keeps no seconds: run those `--again` when
the machine is free. The page
benchmarks/results/tabular.md is written from these lines alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from peers import PeerError
from tabular_contenders import CONTENDERS, THREADS, run, warm
from tabular_data import TABLES, Table
from tabular_page import page

import rung

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / "tabular.jsonl"
QUICK = ("linear_table", "boosted_trees", "stack", "logistic", "lightgbm", "catboost")
TIMED = ("fit_seconds", "rows_per_s", "p50_ms")
# The sets of the examples, and two more.
CASES = ("credit", "disease", "churn", "income", "rare", "titanic", "telco")


def kept() -> list[dict[str, Any]]:
    """Return all runs that are kept."""
    if not KEPT.is_file():
        return []
    return [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]


def keep(found: dict[str, Any]) -> None:
    """Add one run; one of the same case, split and contender gives way to it."""
    key = _key(found)
    lines = [one for one in kept() if _key(one) != key] + [found]
    lines.sort(key=_key)
    fresh = KEPT.with_suffix(".tmp")
    fresh.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    fresh.replace(KEPT)


def _key(found: dict[str, Any]) -> tuple[int, int, int]:
    return list(TABLES).index(found["case"]), found["split"], CONTENDERS.index(found["contender"])


def measured(case: str, table: Table, split: int, contender: str) -> dict[str, Any]:
    """Run a contender on a split and return its line: figures, or what went wrong."""
    ours = [
        one.get("fit_seconds", 0.0)
        for one in kept()
        if (one["case"], one["split"]) == (case, split) and one["contender"] in {"boosted_trees", "stack"}
    ]
    line: dict[str, Any] = {"case": case, "split": split, "contender": contender}
    line |= {"date": time.strftime("%Y-%m-%d"), "threads": THREADS, "cores": os.cpu_count()}
    line |= {"python": platform.python_version()}
    try:
        found = run(contender, table, split, max(ours, default=0.0))
    except (PeerError, rung.RungError) as error:
        return line | {"failed": str(error)[:200]}
    return line | {k: v if v is None else float(f"{v:.6g}") for k, v in asdict(found).items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs="+", choices=list(TABLES), default=list(CASES))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(QUICK))
    parser.add_argument("--splits", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--minutes", type=float, default=0.0, help="begin nothing after so many; 0: no end")
    parser.add_argument("--again", action="store_true", help="also run what is kept already")
    parser.add_argument("--loaded", action="store_true", help="the machine is busy: keep scores, no seconds")
    parser.add_argument("--dry", action="store_true", help="print, keep nothing")
    parser.add_argument("--write", action="store_true", help="only write the page")
    asked = parser.parse_args()
    begun = time.monotonic()
    warm()
    jobs = [(c, s, n) for s in asked.splits for c in asked.case for n in asked.contenders]
    for case, split, contender in [] if asked.write else jobs:
        done = {(one["case"], one["split"], one["contender"]) for one in kept()}
        if (case, split, contender) in done and not (asked.again or asked.dry):
            continue
        if asked.minutes and time.monotonic() - begun > 60 * asked.minutes:
            print("time is up; the same command goes on from here", flush=True)
            break
        line = measured(case, TABLES[case](), split, contender)
        if asked.loaded:
            line = {key: value for key, value in line.items() if key not in TIMED}
        print(json.dumps(line), flush=True)
        if not asked.dry:
            keep(line)
    if not asked.dry:
        (RESULTS / "tabular.md").write_text(page(kept()), encoding="utf-8")


if __name__ == "__main__":
    main()
