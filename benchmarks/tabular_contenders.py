"""One contender on one split of a table: ours as packed bundles, peers in an environment and a process of their own."""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEERS, Peer, PeerError, environment
from tabular_data import PANDAS, Table

import rung
from rung.core.spec.product import Located, Product

HERE = Path(__file__).parent
THREADS = 2
OURS = ("linear_table", "boosted_trees", "stack", "explainable_boosting")
# What best_quality gets, and ours from effort 4 on.
_MINUTES = 5
_ONE_BY_ONE = 200
_PEERS: dict[str, tuple[Peer, dict[str, Any]]] = {
    "logistic": (PANDAS, {}),
    "lightgbm": (PANDAS, {}),
    "catboost": (PANDAS, {}),
    # As long as our slowest fit of the same split took, and no less than this.
    "flaml": (PANDAS, {"seconds": 10}),
    "autogluon": (PEERS["autogluon"], {"seconds": 300, "preset": "medium_quality"}),
    # Its neural network alone, with its defaults: a time and no preset.
    "autogluon_networks": (
        PEERS["autogluon"],
        {"seconds": 300, "preset": None, "families": {"NN_TORCH": {}}},
    ),
    "autogluon_best": (PEERS["autogluon"], {"seconds": 60 * _MINUTES, "preset": "best_quality"}),
}
CONTENDERS = (*OURS, *(f"{name}@4" for name in OURS), *(n for n in _PEERS if n != "autogluon_networks"))


@dataclass(frozen=True)
class Figures:
    """One contender on one split. score: ROC-AUC, or R2 of numbers. loss: log loss, or RMSE. size_mb: 0.0 where nothing
    was saved. p50_ms: of one prediction at a time, in process; None of peers."""

    score: float
    loss: float
    fit_seconds: float
    rows_per_s: float
    size_mb: float
    p50_ms: float | None = None


def is_ours(contender: str) -> bool:
    """Return whether a contender is a rung of ours: "stack" is of effort 2, "stack@4" of effort 4."""
    return contender.partition("@")[0] in OURS


def run(contender: str, table: Table, seed: int, seconds: float) -> Figures:
    """Return the figures of a contender on a split. seconds: of our slowest fit on it, for peers that get equal time.

    Raises PeerError and RungError where it cannot be run.
    """
    train, test = split_rows(table, seed)
    if is_ours(contender):
        name, _, effort = contender.partition("@")
        return _ours(name, table, train, test, int(effort or 2))
    return _peer(contender, table, train, test, seconds)


def split_rows(table: Table, seed: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return training and test rows: a quarter to test, labels in their shares."""
    from sklearn.model_selection import train_test_split

    rows = table.rows()
    groups = [r[table.target] for r in rows] if table.positive else None
    train, test = train_test_split(rows, test_size=0.25, random_state=seed, stratify=groups)
    return train, test


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


def typed(cells: list[str]) -> Any:
    """Return a column as the peers' data frames hold it: an array of numbers, NaN where one is missing, or words."""
    try:
        return np.array([float(cell) if cell not in ("", "?", "NA") else np.nan for cell in cells])
    except ValueError:
        return cells


def _ours(
    name: str, table: Table, train: list[dict[str, str]], test: list[dict[str, str]], effort: int
) -> Figures:
    """Return the figures of one rung's packed bundle, loaded again."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "train.csv"
        _write(path, train)
        spec: dict[str, Any] = {
            "name": "bench", "task": "tabular_classification" if table.positive else "tabular_regression",
            "data": {"path": str(path), "target": table.target}, "certify": {"fraction": 0.0}, "ladder": [name],
            "bar": {"metric": "roc_auc" if table.positive else "r2", "at_least": 1.0}, "budget": {"effort": effort, "threads": THREADS},
        }  # fmt: skip
        if effort >= 4:
            spec["budget"] |= {"minutes": _MINUTES}
        done = rung.build(Located(Product.model_validate(spec), Path(scratch)), run=Path(scratch) / "run")
        trial = next(t for t in done.report["trials"] if t["rung"] == name)
        model = rung.load(Path(done.folder) / "trials" / name / "bundle")
        columns = {c: typed([r[c] for r in test]) for c in model.schema.input_names}
        model.predict_columns({c: cells[:10] for c, cells in columns.items()})
        begun = time.perf_counter()
        said = model.predict_columns(columns)
        speed = len(test) / (time.perf_counter() - begun)
        if table.positive:
            said = said[:, model.schema.labels.index(table.positive)]
        each = []
        for row in test[:_ONE_BY_ONE]:
            begun = time.perf_counter()
            model.predict([row])
            each.append(time.perf_counter() - begun)
    measured = {"fit_seconds": trial["fit_seconds"], "rows_per_s": speed, "size_mb": trial["size_mb"]}
    return _figures(table, test, said, measured | {"p50_ms": float(np.median(each)) * 1000})


def _peer(
    name: str, table: Table, train: list[dict[str, str]], test: list[dict[str, str]], seconds: float
) -> Figures:
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
    return _figures(table, test, found.pop("answers"), found)


def _figures(table: Table, test: list[dict[str, str]], answers: Any, found: dict[str, float]) -> Figures:
    """Return the scores of answers: probabilities of the positive label, or numbers."""
    from sklearn.metrics import log_loss, r2_score, roc_auc_score

    said = np.asarray(answers, dtype=np.float64)
    if table.positive:
        truth = np.array([r[table.target] == table.positive for r in test])
        score, loss = roc_auc_score(truth, said), log_loss(truth, said.clip(1e-15, 1 - 1e-15))
    else:
        truth = np.array([float(r[table.target]) for r in test])
        score, loss = r2_score(truth, said), float(np.sqrt(((truth - said) ** 2).mean()))
    return Figures(float(score), float(loss), **found)


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
