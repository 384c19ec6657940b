"""Text classification against named peers on real data: accuracy, fit time, speed, size.

    python benchmarks/text.py                  # all cases
    python benchmarks/text.py --case newsgroups

Every figure of ours is of the packed bundle, made by `rung.build` with `certify: {fraction: 0}` so that all
train on the same rows. Fit times are of one fit on all training rows. Writes benchmarks/results/text.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import rung
from data import CASES, Split
from rung.core.product import Product

RUNGS = ("tfidf_linear", "static_embedding", "frozen_encoder", "blend")
THREADS = 2
# Repeated; the others take minutes each.
QUICK = ("svc", "sublinear", "tfidf_linear")
RESULTS = Path(__file__).parent / "results" / "text.md"


@dataclass(frozen=True)
class Result:
    """One contender on one case. fit_seconds: of one fit on all training rows, embeddings ready. rows_per_s: on the
    test set. build_seconds: from the file to the packed bundle, scoring folds and encoding included."""

    contender: str
    accuracy: float
    fit_seconds: float
    rows_per_s: float
    size_mb: float | None = None
    build_seconds: float | None = None


def bare(name: str, make: Callable[[], Any], split: Split) -> Result:
    """Return the figures of a bare scikit-learn pipeline: fit from texts, predict texts."""
    pipeline = make()
    begun = time.perf_counter()
    pipeline.fit(split.train_texts, split.train_labels)
    fit = time.perf_counter() - begun
    begun = time.perf_counter()
    answers = pipeline.predict(split.test_texts)
    speed = len(split.test_texts) / (time.perf_counter() - begun)
    return Result(name, float(np.mean(answers == np.array(split.test_labels))), fit, speed)


def ours(rung_name: str, split: Split, effort: int, threads: int) -> Result:
    """Return the figures of one rung's packed bundle; its embeddings begin with an empty cache."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        mock.patch("rung.pipeline.cache_folder", lambda: Path(scratch)),
    ):
        path = Path(scratch) / "train.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(zip(split.train_texts, split.train_labels, strict=True))
        spec = {
            "name": "bench", "task": "text_classification", "data": {"path": str(path)},
            "bar": {"metric": "accuracy", "at_least": 1.0}, "certify": {"fraction": 0.0},
            "ladder": [rung_name], "budget": {"effort": effort, "threads": threads},
        }  # fmt: skip
        begun = time.perf_counter()
        done = rung.build(Product.model_validate(spec), run=Path(scratch) / "run")
        build = time.perf_counter() - begun
        trial = next(t for t in done.report["trials"] if t["rung"] == rung_name)
        model = rung.load(Path(done.folder) / "trials" / rung_name / "bundle")
        begun = time.perf_counter()
        answers = [
            a.value
            for start in range(0, len(split.test_texts), 512)
            for a in model.predict(split.test_texts[start : start + 512])
        ]
        speed = len(answers) / (time.perf_counter() - begun)
    accuracy = float(np.mean(np.array(answers) == np.array(split.test_labels)))
    return Result(
        f"rung {rung_name}, effort {effort}", accuracy, trial["fit_seconds"], speed, trial["size_mb"], build
    )


def contenders() -> dict[str, Callable[[Split], Result]]:
    """Return everyone who runs, by name."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    return {
        "svc": lambda s: bare(
            "TfidfVectorizer + LinearSVC", lambda: make_pipeline(TfidfVectorizer(), LinearSVC()), s
        ),
        "sublinear": lambda s: bare(
            "TfidfVectorizer(sublinear_tf) + LinearSVC",
            lambda: make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC()),
            s,
        ),
        "logistic": lambda s: bare(
            "TfidfVectorizer + LogisticRegression",
            lambda: make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000)),
            s,
        ),
        **{name: partial(_ours, name) for name in RUNGS},
    }


def _ours(name: str, split: Split) -> Result:
    return ours(name, split, effort=2, threads=THREADS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=list(CASES), action="append", help="only these cases")
    parser.add_argument("--only", action="append", help="only these contenders")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the fastest fit counts")
    asked = parser.parse_args()
    lines = [_head()]
    for name in asked.case or list(CASES):
        split = CASES[name]()
        lines.append(
            f"\n## {split.title}\n\n{len(split.train_texts):,} training rows, {len(split.test_texts):,} test rows. {split.source}\n"
        )
        lines.append(
            "| contender | accuracy | fit s | fit, ratio to the first | file to bundle s | test rows/s | bundle MB |\n|---|---|---|---|---|---|---|"
        )
        first: float | None = None
        for key, run in contenders().items():
            if asked.only and key not in asked.only:
                continue
            repeat = asked.repeat if key in QUICK else 1
            try:
                found = min((run(split) for _ in range(repeat)), key=lambda r: r.fit_seconds)
            except rung.RungError as error:
                lines.append(f"| {key} | not tried: {error.problem.splitlines()[-1].strip()} | | | | | |")
                continue
            first = first or found.fit_seconds
            size = "" if found.size_mb is None else f"{found.size_mb:.1f}"
            build = "" if found.build_seconds is None else f"{found.build_seconds:.0f}"
            lines.append(
                f"| {found.contender} | {found.accuracy:.4f} | {found.fit_seconds:.1f} | {found.fit_seconds / first:.2f} | {build} "
                f"| {found.rows_per_s:,.0f} | {size} |"
            )
            print(lines[-1], flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {RESULTS.name}")


def _head() -> str:
    packages = ", ".join(f"{p} {version(p)}" for p in ("rung", "scikit-learn", "scipy", "numpy"))
    return (
        "# Text classification\n\nWritten by `python benchmarks/text.py`. Ratios count, not seconds: the machine is shared. "
        f"Python {platform.python_version()}, {packages}; {platform.machine()}, {os.cpu_count()} cores, seed 0. "
        "Fit times are of one fit on all training rows (the fastest of the repeats), from texts to a fitted model; ours include "
        "the search over features, heads and C, and calibration, but not encoding, which a build does once: `file to bundle` has "
        "it all, the scoring of folds too. Two threads encode; everything else uses one. No peer beyond scikit-learn has run yet."
    )


if __name__ == "__main__":
    main()
