"""Text classification against named peers on real data: accuracy, fit time, speed, size.

    python benchmarks/text.py                       # all cases: scikit-learn and our rungs
    python benchmarks/text.py --peers               # the other libraries too, each installed on first use
    python benchmarks/text.py --case newsgroups     # writes the section of this case anew, keeps the others
    python benchmarks/text.py --case ten --only setfit    # a look at one contender: prints, writes nothing
    python benchmarks/text.py --case ten --peers --pieces DIR --minutes 15    # some now, the next call goes on

Every figure of ours is of the packed bundle, made by `rung.build`: in a case's first table with
`certify: {fraction: 0}` so that all train on the same rows, in its second with rows withheld to certify, as a
user builds. Fit times are of one fit on all training rows. Writes benchmarks/results/text.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from leaderboard import (
    COLUMNS,
    Certified,
    Result,
    certified_table,
    header,
    result_row,
    row,
    shares,
    write_section,
)
from peers import PEERS, PeerError, run_peer, versions
from sets import CASES, Split

import rung
from rung.core.spec.product import Located, Product

RUNGS: dict[str, str | dict[str, object]] = {
    "tfidf_linear": "tfidf_linear",
    "static_embedding": "static_embedding",
    "frozen_encoder": "frozen_encoder",
    "blend": "blend",
    "blend-large": {"model": "blend", "name": "blend-large", "params": {"weights": "auto_large"}},
}
THREADS = 2
EFFORT = 2
# Repeated; the others take minutes each.
QUICK = ("svc", "sublinear", "tfidf_linear")
# Of the second table: modest, since a look that fails publishes no bound.
BARS = {"newsgroups": 0.80, "ten": 0.80, "rotten": 0.70, "chinese": 0.80}
RESULTS = Path(__file__).parent / "results" / "text.md"
HEAD = """# Text classification

Written by `python benchmarks/text.py --peers`, each section by its own run, or by runs in pieces (`--pieces`): each contender
once, all of one state of the code unless a section says otherwise. Ratios count, not seconds: the machine is shared.
All contenders of a first table train on the same rows and answer the same test rows. Fit times are of one fit on all training
rows (the fastest of the repeats), from texts to a fitted model. Ours include the search over features, heads and C, and
calibration, but not encoding, which a build does once; a peer's include its encoding. `file to bundle` has it all: from the
file with the rows to the model on disk, our scoring of folds too, without starting Python. Two threads encode and run the
peers; everything else uses one. SetFit's defaults draw every pair of texts, which takes days: the steps of one epoch are
counted, some are timed on these very rows, and the seconds extrapolated; such a row has no accuracy. MiniLM and
wordllama read English: on Chinese the peers' encoders run as they are, and fastText takes each character as a word. In the second
table the same rungs withhold rows to certify, train on what is left, and answer the same test rows."""


@dataclass(frozen=True)
class Built:
    """One rung's packed bundle, built of a case's training rows. accuracy, rows_per_s: on its test rows."""

    report: dict[str, Any]
    trial: dict[str, Any]
    accuracy: float
    rows_per_s: float
    build_seconds: float


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


@contextmanager
def training_file(split: Split) -> Iterator[Path]:
    """Yield a CSV file of the training rows in a folder of its own, where embeddings begin with an empty cache."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        mock.patch("rung.workflows.build.cache_folder", lambda: Path(scratch)),
    ):
        path = Path(scratch) / "train.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(zip(split.train_texts, split.train_labels, strict=True))
        yield path


def build(rung_name: str, split: Split, level: float, certify: dict[str, float]) -> Built:
    """Build one rung for a bar on accuracy, and answer the test rows with its bundle."""
    with training_file(split) as path:
        spec = {
            "name": "bench", "task": "text_classification", "data": {"path": str(path)},
            "bar": {"metric": "accuracy", "at_least": level}, "certify": certify,
            "ladder": [RUNGS[rung_name]], "budget": {"effort": EFFORT, "threads": THREADS},
        }  # fmt: skip
        begun = time.perf_counter()
        done = rung.build(Located(Product.model_validate(spec), path.parent), run=path.parent / "run")
        seconds = time.perf_counter() - begun
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
    return Built(done.report, trial, accuracy, speed, seconds)


def ours(rung_name: str, split: Split) -> Result:
    """Return the figures of one rung that trains on all rows. No bar is cleared without a certificate."""
    found = build(rung_name, split, level=1.0, certify={"fraction": 0.0})
    return Result(
        f"rung {rung_name}, effort {EFFORT}",
        found.accuracy,
        found.trial["fit_seconds"],
        found.rows_per_s,
        found.trial["size_mb"],
        found.build_seconds,
    )


def certified(rung_name: str, split: Split, level: float) -> Certified:
    """Return what one rung proves on the rows that a build withholds by default."""
    found = build(rung_name, split, level, certify={})
    proof = found.report["certificate"]
    return Certified(
        rung_name,
        level,
        found.report["data"]["certification"],
        proof["bound"] if proof else None,
        found.accuracy,
        found.build_seconds,
    )


def contenders() -> dict[str, Callable[[Split], Result]]:
    """Return everyone who can run, by name, the peers last."""
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
        **{name: partial(ours, name) for name in RUNGS},
        **{name: partial(run_peer, name, threads=THREADS) for name in PEERS},
    }


class Pieces:
    """What contenders came to, kept so that a long case can be run in pieces; each is run once.

    folder: where they are kept; None keeps nothing. ends: by the monotonic clock, when no other contender begins.
    """

    def __init__(self, folder: Path | None, ends: float) -> None:
        self._folder = folder
        self._ends = ends

    def once(self, name: str, kind: type[Any], run: Callable[[], Any]) -> Any:
        """Return the figures called `name`, read or made now. Raises Unfinished when there is no time left to begin."""
        path = self._folder / f"{name}.json" if self._folder else None
        if path and path.is_file():
            return kind(**json.loads(path.read_text(encoding="utf-8")))
        if time.monotonic() > self._ends:
            raise Unfinished(name)
        found = run()
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(asdict(found)), encoding="utf-8")
        return found


class Unfinished(Exception):
    """The minutes of this call are over before the case is whole."""


def first_table(split: Split, names: list[str], repeat: int, pieces: Pieces) -> str:
    """Return the table of all contenders on the same rows, and our seconds as a share of SetFit's."""
    runs, found = contenders(), dict[str, Result]()
    lines = [header(*COLUMNS)]

    def best_of(name: str) -> Result:
        runs_of_it = (runs[name](split) for _ in range(repeat if name in QUICK else 1))
        return min(runs_of_it, key=lambda r: r.fit_seconds)

    for name in names:
        try:
            found[name] = pieces.once(name, Result, partial(best_of, name))
            first = next(iter(found.values())).fit_seconds
            lines.append(result_row(found[name], first))
        except (rung.RungError, PeerError) as error:
            lines.append(row(name, f"not run: {_reason(error)}", *[""] * (len(COLUMNS) - 2)))
        print(lines[-1], flush=True)
    own = [found[name] for name in RUNGS if name in found]
    for peer in ("setfit", "setfit_short"):
        if own and peer in found:
            lines.append("\n" + shares(own, found[peer]))
    return "\n".join(lines)


def second_table(split: Split, level: float, pieces: Pieces) -> str:
    """Return the table of our rungs as a user builds them."""
    rows = []
    for name in RUNGS:
        try:
            rows.append(pieces.once(f"{name}-certified", Certified, partial(certified, name, split, level)))
        except rung.RungError as error:
            print(f"{name} not run: {_reason(error)}", flush=True)
    return certified_table(rows)


def section(case: str, split: Split, names: list[str], repeat: int, pieces: Pieces) -> str:
    """Run a case and return the body of its section."""
    rows = f"{len(split.train_texts):,} training rows, {len(split.test_texts):,} test rows. {split.source}"
    tables = [
        first_table(split, names, repeat, pieces),
        "### As a user builds it",
        second_table(split, BARS[case], pieces),
    ]
    return "\n\n".join([rows, conditions([name for name in names if name in PEERS]), *tables])


def conditions(peers: list[str]) -> str:
    """Return the line that says on what the section was measured."""
    packages = ", ".join(f"{p} {version(p)}" for p in ("rung", "scikit-learn", "scipy", "numpy"))
    others = f" Peers: {versions(peers)}." if peers else " No peers beyond scikit-learn in this run."
    return (
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {packages}; {platform.machine()}, "
        f"{os.cpu_count()} cores, seed 0.{others}"
    )


def _reason(error: rung.RungError | PeerError) -> str:
    said = error.problem if isinstance(error, rung.RungError) else str(error)
    return said.splitlines()[-1].strip().replace("|", "/")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(contenders())
    parser.add_argument("--case", choices=list(CASES), action="append", help="only these cases")
    parser.add_argument(
        "--only", choices=names, action="append", help="only these contenders; prints, writes nothing"
    )
    parser.add_argument("--peers", action="store_true", help="the other libraries too")
    parser.add_argument(
        "--repeat", type=int, default=3, help="runs of each quick one; the fastest fit counts"
    )
    parser.add_argument(
        "--pieces", type=Path, help="keep what each contender came to here, and read it again"
    )
    parser.add_argument(
        "--minutes", type=float, default=1e6, help="begin no other contender after so many minutes"
    )
    asked = parser.parse_args()
    ends = time.monotonic() + asked.minutes * 60
    for case in asked.case or list(CASES):
        split = CASES[case]()
        kept = Pieces(asked.pieces / case if asked.pieces else None, ends)
        print(f"\n{split.title}", flush=True)
        taking_part = [name for name in names if asked.peers or name not in PEERS]
        try:
            if asked.only:
                first_table(split, asked.only, asked.repeat, kept)
                continue
            body = section(case, split, taking_part, asked.repeat, kept)
        except Unfinished as next_one:
            print(f"{case} is not whole: {next_one} is next; the same call goes on.")
            continue
        write_section(RESULTS, HEAD, split.title, body)
        print(f"wrote {RESULTS.name}")


if __name__ == "__main__":
    main()
