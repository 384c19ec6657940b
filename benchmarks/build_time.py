"""Time whole builds of two states of the code: CPU seconds, what they certify, and accuracy on rows held back.

    python benchmarks/build_time.py --before FOLDER                       # every case, before and after, alternately
    python benchmarks/build_time.py --before FOLDER --case six_95 churn   # these cases; the others' lines are kept
    python benchmarks/build_time.py --page                                # only the page

FOLDER: a git checkout of the state before, whose src/ is put first on the path; its commit is noted. After: this checkout. Every
build runs in a process of its own on one thread, with weights and exported encoders from the cache and no embedding kept:
CPU seconds are those of the process and its children. Lines lie in benchmarks/results/build_time.jsonl, the page in build_time.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from leaderboard import header, row
from sets import newsgroups
from tabular_data import churn

HERE = Path(__file__).parent
RESULTS = HERE / "results"
LINES, PAGE = RESULTS / "build_time.jsonl", RESULTS / "build_time.md"
CACHE = Path(os.environ.get("RUNG_CACHE", Path.home() / ".cache" / "rung"))
SIX = [
    "comp.graphics", "misc.forsale", "rec.autos", "rec.sport.hockey", "sci.med", "soc.religion.christian",
]  # fmt: skip
Rows = tuple[list[str], list[list[str]], list[list[str]]]


@dataclass(frozen=True)
class Case:
    """A product to build. rows: header, rows to build on, rows to test on; the target is the last column."""

    title: str
    rows: Callable[[], Rows]
    task: str
    bar: str


def six_newsgroups() -> Rows:
    """Return six newsgroups: 2,400 documents of both official parts to build on, the others to test on."""
    whole = newsgroups()
    pairs = list(
        zip(whole.train_texts + whole.test_texts, whole.train_labels + whole.test_labels, strict=True)
    )
    draw, train, test = random.Random(0), [], []
    for name in SIX:
        own = [[text, label] for text, label in pairs if label == name]
        draw.shuffle(own)
        train += own[:400]
        test += own[400:]
    draw.shuffle(train)
    return ["text", "label"], train, test


def twenty_newsgroups() -> Rows:
    """Return 20 newsgroups with its official split."""
    whole = newsgroups()
    train, test = (
        [list(pair) for pair in zip(texts, labels, strict=True)]
        for texts, labels in (
            (whole.train_texts, whole.train_labels),
            (whole.test_texts, whole.test_labels),
        )
    )
    return ["text", "label"], train, test


def churn_rows() -> Rows:
    """Return the churn table: 4,000 rows to build on, 1,000 to test on."""
    table = churn()
    found = table.rows()
    names = [*(name for name in found[0] if name != table.target), table.target]
    rows = [[one[name] for name in names] for one in found]
    random.Random(0).shuffle(rows)
    return names, rows[:4_000], rows[4_000:]


CASES = {
    "six_95": Case(
        "Six newsgroups, 2,400 rows, bar 0.95", six_newsgroups, "text_classification", "{metric: accuracy, at_least: 0.95}"
    ),
    "six_97": Case(
        "Six newsgroups, 2,400 rows, bar 0.97", six_newsgroups, "text_classification", "{metric: accuracy, at_least: 0.97}"
    ),
    "twenty": Case(
        "20 newsgroups, 11,293 rows, bar 0.90", twenty_newsgroups, "text_classification", "{metric: accuracy, at_least: 0.9}"
    ),
    "improve": Case(
        "One improvement: 1,500 rows and 900 reviewed ones, bar 0.94", six_newsgroups, "text_classification", "{metric: accuracy, at_least: 0.94}"
    ),
    "churn": Case(
        "Churn, 4,000 rows, bar ROC-AUC 0.90", churn_rows, "tabular_classification", "{metric: roc_auc, at_least: 0.9}"
    ),
}  # fmt: skip


def measure(case: Case) -> dict[str, Any]:
    """Build a case in this process, and return its CPU seconds and what came out of it."""
    import rung

    names, train, test = case.rows()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([names, *train])
        inputs = ", ".join(json.dumps(name) for name in names[:-1])
        (folder / "product.yaml").write_text(
            f"name: bench\ntask: {case.task}\ndata: {{path: rows.csv, input: [{inputs}], target: {names[-1]}}}\n"
            f"bar: {case.bar}\nbudget: {{threads: 1}}\n",
            encoding="utf-8",
        )
        begun, wall = cpu_seconds(), time.time()
        done = rung.build(folder / "product.yaml", run=folder / "run", fetch=False)
        spent, wall = cpu_seconds() - begun, time.time() - wall
        model, columns = rung.load(done.bundle), names[:-1]
        records = [dict(zip(columns, one, strict=False)) for one in test]
        answers = [
            answer.value
            for at in range(0, len(records), 512)
            for answer in model.predict(records[at : at + 512])
        ]
    right = sum(str(answer) == one[-1] for answer, one in zip(answers, test, strict=True)) / len(test)
    return outcome(spent, wall, right, len(test), done.report)


def measure_improve() -> dict[str, Any]:
    """Build a cheap product of 1,500 documents, serve it 900 others, review all, and time one improvement with every rung.

    The bar is raised and the ladder made whole before the improvement, so that it climbs.
    """
    import rung
    from rung.cleaning.pipeline import CleaningPipeline
    from rung.core.spec.cleaning import PrivacySpec
    from rung.journal.records import PredictionRecord, new_id
    from rung.journal.writer import Journal
    from rung.workflows.improve import improve
    from rung.workflows.review import open_review

    names, train, test = six_newsgroups()
    traffic, rest = train[1_500:], test
    spec = (
        "name: bench\ntask: text_classification\ndata: {{path: rows.csv, input: text, target: label}}\n"
        "bar: {{metric: accuracy, at_least: {level}}}\nbudget: {{threads: 1}}\n"
        "improve: {{audit_rows: 300, audit_share: 0.4, min_feedback: 50, margin: 0.1}}\n{more}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([names, *train[:1_500]])
        product = folder / "product.yaml"
        product.write_text(
            spec.format(level=0.8, more="ladder: [majority, tfidf_linear]\n"), encoding="utf-8"
        )
        first = rung.build(product, fetch=False)
        champion = rung.load(first.bundle)
        inputs: list[dict[str, Any]] = [{"text": text} for text, _ in traffic]
        as_read: list[dict[str, Any]] = []
        answers = list(champion.respond(inputs, read=as_read.append))
        manifest, journal = champion.manifest, Journal(folder / "service", "plain")
        journal.write(
            *(
                PredictionRecord(
                    new_id(), time.time(), "bench", manifest.name, manifest.version, "", "bench", None, values,
                    answer, 1.0, 0.0,
                )
                for values, answer in zip(as_read, answers, strict=True)
            )
        )  # fmt: skip
        journal.close()
        mend = CleaningPipeline.from_spec(None, PrivacySpec()).clean_text
        truth = {mend(text): label for text, label in traffic}
        with open_review(product) as (_, session):
            while (asked := session.next("bench")) is not None:
                session.record_answer("bench", asked.row.text, "label", truth[asked.row.cells["text"]])
        product.write_text(spec.format(level=0.94, more=""), encoding="utf-8")
        begun, wall = cpu_seconds(), time.time()
        done = improve(product, who="bench", lang="en")
        spent, wall = cpu_seconds() - begun, time.time() - wall
        if done.build is None:
            raise SystemExit(f"nothing was built: {done.reasons}")
        model = rung.load(done.build.bundle)
        found = [
            a.value
            for at in range(0, len(rest), 512)
            for a in model.predict([t for t, _ in rest[at : at + 512]])
        ]
    right = sum(a == label for a, (_, label) in zip(found, rest, strict=True)) / len(rest)
    return outcome(spent, wall, right, len(rest), done.build.report) | {"verdict": done.verdict}


def outcome(spent: float, wall: float, right: float, rows: int, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line of a build."""
    return {
        "cpu_seconds": round(spent, 1), "wall_seconds": round(wall, 1), "winner": report["winner"],
        "bound": report["certificate"]["bound"] if report["certificate"] else None,
        "test_accuracy": round(right, 4), "test_rows": rows,
        "rungs": {t["rung"]: t["scores"].get(report["metric"]) for t in report["trials"]},
        "raced_out": [f"{one['rung']} {one['score']:.3f} ± {one['error']:.3f}" for one in report.get("raced_out", [])],
    }  # fmt: skip


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measured(name: str, source: Path) -> dict[str, Any]:
    """Return what a case comes to with the code below a folder, in a fresh process without kept embeddings."""
    with tempfile.TemporaryDirectory() as cache:
        for part in ("weights", "encoders", "benchmarks", "backbones"):
            if (CACHE / part).is_dir():
                (Path(cache) / part).symlink_to((CACHE / part).resolve())
        env = {**os.environ, "PYTHONPATH": str(source / "src"), "RUNG_CACHE": cache}
        command = [sys.executable, str(HERE / "build_time.py"), "--measure", name]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def commit_of(folder: Path) -> str:
    """Return the commit a checkout is at."""
    command = ["git", "-C", str(folder), "rev-parse", "--short=10", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def record(case: str, side: str, found: dict[str, Any]) -> None:
    """Add a line, in place of an earlier one of the same case and side."""
    kept = [line for line in lines() if (line["case"], line["side"]) != (case, side)]
    kept.append({"case": case, "side": side, "date": time.strftime("%Y-%m-%d"), **found})
    LINES.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    print(json.dumps(kept[-1]), flush=True)


def lines() -> list[dict[str, Any]]:
    """Return everything measured so far."""
    return [json.loads(line) for line in LINES.read_text("utf-8").splitlines()] if LINES.is_file() else []


HEAD = """# Build times

Written by `python benchmarks/build_time.py`. Each build ran in a process of its own on one thread, embeddings not kept from
earlier builds, before and after in turn, on a shared machine: CPU seconds of the process and its children count; neighbours on the
same core make them vary by a fifth. Test rows are no part of the product. "After" may leave rungs out after a race on a part of the
training rows. Most of the time with encoders goes into encoding (of 260 seconds about 190): a rung that keeps its chance in the race
pays it as before, one that is raced out saves four fifths of it.

A third of the time at equal accuracy was the aim, and it is not reached with encoders. Encoders are 8-bit already, their batches hold
texts of one length, and each text is encoded once for race, folds and final fit: what is left is how many tokens are read. Reading
half as many halves the time and may cost accuracy (docs/log.md), so it is not the default.
"""


def page() -> None:
    """Write the page."""
    found, parts = lines(), [HEAD]
    for name, case in CASES.items():
        own = {line["side"]: line for line in found if line["case"] == name}
        if not own:
            parts.append(f"\nNot measured: {case.title}.")
            continue
        parts += [
            f"\n## {case.title}\n",
            header(
                "", "commit", "CPU s", "winner", "certified", "test accuracy", "rungs measured", "raced out"
            ),
        ]
        for side in ("before", "after"):
            if side in own:
                one = own[side]
                parts.append(
                    row(side, one["commit"], f"{one['cpu_seconds']:.0f}", one["winner"],
                        "-" if one["bound"] is None else f"{one['bound']:g}", f"{one['test_accuracy']:.4f}",
                        ", ".join(f"{rung} {score:.4f}" for rung, score in one["rungs"].items() if score is not None),
                        ", ".join(one["raced_out"]) or "-")
                )  # fmt: skip
        if len(own) == 2:
            share = own["after"]["cpu_seconds"] / own["before"]["cpu_seconds"]
            parts.append(f"\nAfter takes {share:.0%} of before. Test rows: {own['after']['test_rows']:,}.")
    PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="checkout of the state before")
    parser.add_argument("--case", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--side", nargs="*", choices=["before", "after"], default=["before", "after"])
    parser.add_argument("--measure", choices=list(CASES), help=argparse.SUPPRESS)
    parser.add_argument("--page", action="store_true", help="only write the page")
    asked = parser.parse_args()
    if asked.measure:
        case = CASES[asked.measure]
        print(json.dumps(measure_improve() if asked.measure == "improve" else measure(case)))
        return
    if not asked.page:
        sources = {"after": HERE.parent, "before": asked.before}
        for name in asked.case:
            for side in asked.side:
                if sources[side] is None:
                    sys.exit("name the checkout of the state before: --before FOLDER")
                record(name, side, {"commit": commit_of(sources[side]), **measured(name, sources[side])})
    page()


if __name__ == "__main__":
    main()
