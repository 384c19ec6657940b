"""Tables against named peers on real data: ROC-AUC, log loss, fit time, speed, size.

    python benchmarks/tabular.py                          # all tables, ours and the quick peers
    python benchmarks/tabular.py --peers autogluon flaml  # these too
    python benchmarks/tabular.py --case credit --splits 1 # a look: prints, writes nothing

Five stratified splits, a quarter to test (random_state 0 to 4). Ours train with `certify: {fraction: 0}` on the same
rows as the peers; their figures are of the packed bundle. Writes benchmarks/results/tabular.md.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import json
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from leaderboard import header, row, write_section
from peers import PEERS, Peer, PeerError, environment
from tabular_data import PANDAS, TABLES, Table

import rung
from rung.core.product import Product

RESULTS = Path(__file__).parent / "results" / "tabular.md"
HERE = Path(__file__).parent
THREADS = 2
OURS = ("linear_table", "boosted_trees", "stack")
# Slow to fit: only where `--peers` names it.
MORE = ("explainable_boosting",)
QUICK = ("logistic", "lightgbm", "catboost")
_PEERS: dict[str, tuple[Peer, dict[str, Any]]] = {
    "logistic": (PANDAS, {}),
    "lightgbm": (PANDAS, {}),
    "catboost": (PANDAS, {}),
    # As long as our slowest fit of the same split took, and no less than this.
    "flaml": (PANDAS, {"seconds": 10}),
    "autogluon": (PEERS["autogluon"], {"seconds": 300, "preset": "medium_quality"}),
    "autogluon_best": (PEERS["autogluon"], {"seconds": 300, "preset": "best_quality"}),
}
HEAD = """# Tables

Written by `python benchmarks/tabular.py`, each section by its own run. Ratios count, not seconds: the machine is shared. Means
over stratified splits, a quarter of the rows to test. All contenders train on the same rows. `fit s` is of one fit on all training
rows, from rows in memory to a model: ours includes the search, calibration and the choice of weights. `rows/s` of ours is of the packed
bundle asked for columns, of the peers of a data frame, both after ten rows to warm up; libraries are imported before a fit is timed, ours
and the peers'. FLAML gets as long as our slowest fit of the split, ten seconds at least. Ours are of effort 2 unless it says otherwise."""


@dataclass(frozen=True)
class Figures:
    """One contender on one split. score: ROC-AUC, or R2 of numbers. loss: log loss, or RMSE."""

    score: float
    loss: float
    fit_seconds: float
    rows_per_s: float
    size_mb: float


def split_rows(table: Table, seed: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return training and test rows."""
    from sklearn.model_selection import train_test_split

    rows = table.rows()
    groups = [r[table.target] for r in rows] if table.positive else None
    train, test = train_test_split(rows, test_size=0.25, random_state=seed, stratify=groups)
    return train, test


def figures(table: Table, test: list[dict[str, str]], answers: Any, found: dict[str, float]) -> Figures:
    """Return the scores of answers: probabilities of the positive label, or numbers."""
    from sklearn.metrics import log_loss, r2_score, roc_auc_score

    said = np.asarray(answers, dtype=np.float64)
    if table.positive:
        truth = np.array([r[table.target] == table.positive for r in test])
        score, loss = roc_auc_score(truth, said), log_loss(truth, said.clip(1e-15, 1 - 1e-15))
    else:
        truth = np.array([float(r[table.target]) for r in test])
        score, loss = r2_score(truth, said), float(np.sqrt(((truth - said) ** 2).mean()))
    return Figures(float(score), float(loss), found["fit_seconds"], found["rows_per_s"], found["size_mb"])


def warm() -> None:
    """Import what our fits would import: seconds are of fitting, ours and the peers'."""
    for name in (
        "lightgbm",
        "sklearn.linear_model",
        "sklearn.isotonic",
        "scipy.sparse",
        "interpret.glassbox",
    ):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def ours(
    name: str, table: Table, train: list[dict[str, str]], test: list[dict[str, str]], effort: int
) -> Figures:
    """Return the figures of one rung's packed bundle."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "train.csv"
        _write(path, train)
        spec = {
            "name": "bench", "task": "tabular_classification" if table.positive else "tabular_regression",
            "data": {"path": str(path), "target": table.target}, "certify": {"fraction": 0.0}, "ladder": [name],
            "bar": {"metric": "roc_auc" if table.positive else "r2", "at_least": 1.0}, "budget": {"effort": effort, "threads": THREADS},
        }  # fmt: skip
        if effort >= 4:
            # What AutoGluon's best quality gets; a fit keeps within it.
            spec["budget"] |= {"minutes": 5}
        done = rung.build(Product.model_validate(spec), run=Path(scratch) / "run")
        trial = next(t for t in done.report["trials"] if t["rung"] == name)
        model = rung.load(Path(done.folder) / "trials" / name / "bundle")
        columns = {c: [r[c] for r in test] for c in model.schema.input_names}
        model.predict_columns({c: cells[:10] for c, cells in columns.items()})
        begun = time.perf_counter()
        said = model.predict_columns(columns)
        speed = len(test) / (time.perf_counter() - begun)
        if table.positive:
            said = said[:, model.schema.labels.index(table.positive)]
    measured = {"fit_seconds": trial["fit_seconds"], "rows_per_s": speed, "size_mb": trial["size_mb"]}
    return figures(table, test, said, measured)


def peer(
    name: str, table: Table, train: list[dict[str, str]], test: list[dict[str, str]], seconds: float
) -> Figures:
    """Return the figures of a peer, run in its own environment and process. seconds: of ours, for equal time."""
    home, options = _PEERS[name]
    if name == "flaml":
        options = {"seconds": max(round(seconds), options["seconds"])}
    python = environment(home)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write(folder / "train.csv", train)
        _write(folder / "test.csv", test)
        job = {
            "peer": name.partition("_")[0],
            "target": table.target,
            "positive": table.positive,
            "threads": THREADS,
            **options,
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        quiet = {**kept, "OMP_NUM_THREADS": str(THREADS), "OMP_WAIT_POLICY": "PASSIVE"}
        command = [str(python), "-m", "workers.tabular", str(folder)]
        done = subprocess.run(command, cwd=HERE, env=quiet, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerError((done.stderr.strip().splitlines() or ["failed"])[-1])
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return figures(table, test, found["answers"], found)


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def section(table: Table, names: list[str], splits: int, effort: int) -> str:
    """Run a table and return the body of its section."""
    found: dict[str, list[Figures]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    for seed in range(splits):
        train, test = split_rows(table, seed)
        for name in names:
            own = [found[n][-1].fit_seconds for n in (*OURS, *MORE) if found.get(n)]
            try:
                run = (
                    ours(name, table, train, test, effort)
                    if name in (*OURS, *MORE)
                    else peer(name, table, train, test, max(own, default=0.0))
                )
                found[name].append(run)
                print(f"{table.title} {seed} {name}: {run}", flush=True)
            except (PeerError, rung.RungError) as error:
                failed[name] = str(error)[:120]
                print(f"{table.title} {seed} {name}: {failed[name]}", flush=True)
    kind = ("ROC-AUC", "log loss") if table.positive else ("R2", "RMSE")
    lines = [header("contender", *kind, "fit s", "rows/s", "MB")]
    for name in names:
        label = f"rung {name}" if name in (*OURS, *MORE) else name.replace("_", " ")
        if not found[name]:
            lines.append(row(label, f"not run: {failed.get(name, '')}", "", "", "", ""))
            continue
        mean = {f: float(np.mean([getattr(r, f) for r in found[name]])) for f in Figures.__dataclass_fields__}
        size = f"{mean['size_mb']:.2f}" if mean["size_mb"] else ""
        loss = f"{mean['loss']:.4f}" if table.positive else f"{mean['loss']:,.0f}"
        cells = (
            f"{mean['score']:.4f}",
            loss,
            f"{mean['fit_seconds']:.1f}",
            f"{mean['rows_per_s']:,.0f}",
            size,
        )
        lines.append(row(label, *cells))
    about = (
        f"{len(table.rows()):,} rows. {table.source}. {splits} splits; {time.strftime('%Y-%m-%d')}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores, {THREADS} threads, effort {effort}."
    )
    return about + "\n\n" + "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=list(TABLES), action="append", help="only these tables")
    parser.add_argument(
        "--peers", nargs="*", choices=[*_PEERS, *MORE], default=[], help="slow peers to run too"
    )
    parser.add_argument("--only", nargs="*", default=[], help="only these contenders; prints, writes nothing")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--effort", type=int, default=2)
    asked = parser.parse_args()
    warm()
    names = asked.only or [*OURS, *QUICK, *asked.peers]
    for case in asked.case or list(TABLES):
        table = TABLES[case]()
        body = section(table, names, asked.splits, asked.effort)
        print(body, flush=True)
        if not asked.only:
            write_section(RESULTS, HEAD, table.title, body)


if __name__ == "__main__":
    main()
