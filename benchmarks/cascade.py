"""Cascades on public texts: a cheap rung in front of the strongest local one, which stands in for a language model.

`python benchmarks/cascade.py --cases debian,newsgroups,chinese` writes results/cascade.md. Quality is measured; the price of
the last stage is a simulated list price of a language model, and labelled so.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import time
from pathlib import Path

import numpy as np
from sets import Split, chinese_reviews, newsgroups

from rung.core.folds import assign_folds
from rung.core.model import FitContext, Model
from rung.core.params import make_params
from rung.core.registry import model as family_of
from rung.core.stats.binomial import success_probability
from rung.core.types import Examples, Field, Schema
from rung.runtime.cascade.hand_on import SIGNALS, rows_of
from rung.runtime.embeddings.settings import use_embedding_cache
from rung.runtime.weights.store import cache_folder
from rung.training.cascade.thresholds import choose

RESULTS = Path(__file__).parent / "results" / "cascade.md"
# List price of a small language model, 400 tokens in and 10 out: simulated, nothing is called here.
SIMULATED_USD = (400 * 0.75 + 10 * 4.5) / 1e6
WITHIN, CHEAP, DEAR = (0.005, 0.01), "tfidf_linear", "blend"
WEIGHTS = {"chinese": "e5_small"}


def debian() -> Split:
    """Return one-line descriptions of Debian packages and their sections, without libraries' near copies, a third to test."""
    said = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    rows: dict[str, str] = {}
    for entry in said.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in entry.splitlines() if ": " in line and not line.startswith(" ")
        )
        text, section = fields.get("Description", fields.get("Description-en", "")), fields.get("Section", "")
        if text and section and "/" not in section and section != "oldlibs":
            rows.setdefault(text.strip(), section)
    kept = sorted(rows.items())
    random.Random(0).shuffle(kept)
    cut = len(kept) * 2 // 3
    pairs = kept[:cut], kept[cut:]
    columns = [list(column) for part in pairs for column in zip(*part, strict=True)]
    return Split(
        "Debian sections", "apt-cache dumpavail, Debian bookworm; descriptions deduplicated.", *columns
    )


CASES = {"debian": debian, "newsgroups": newsgroups, "chinese": chinese_reviews}


def examples(texts: list[str], labels: list[str], names: tuple[str, ...]) -> Examples:
    schema = Schema((Field("text", "text", "input"),), (Field("label", "category", "output", names),))
    count = len(texts)
    return Examples(
        schema, {"text": texts}, labels, [str(i) for i in range(count)], range(count), [0.0] * count
    )


def sample(split: Split, train: int, test: int) -> tuple[Examples, Examples]:
    """Return rows drawn with one Random(0); labels of fewer than ten training rows are left out."""
    draw = random.Random(0)
    learn = draw.sample(range(len(split.train_texts)), min(train, len(split.train_texts)))
    counts = dict.fromkeys(split.train_labels, 0)
    for i in learn:
        counts[split.train_labels[i]] += 1
    names = tuple(sorted(label for label, count in counts.items() if count >= 10))
    learn = [i for i in learn if split.train_labels[i] in names]
    held = [i for i in range(len(split.test_texts)) if split.test_labels[i] in names]
    held = draw.sample(held, min(test, len(held)))
    return (
        examples([split.train_texts[i] for i in learn], [split.train_labels[i] for i in learn], names),
        examples([split.test_texts[i] for i in held], [split.test_labels[i] for i in held], names),
    )


def fitted(name: str, rows: Examples, case: str) -> Model:
    family = family_of(name)
    given = {"weights": WEIGHTS[case]} if name == DEAR and case in WEIGHTS else {}
    return family.fit(rows, make_params(family.Params, given), FitContext(effort=1, threads=1))


def measure(case: str, train: int, test: int) -> list[str]:
    """Return the table of a case: the two stages, and a cascade by each signal."""
    split = CASES[case]()
    rows, held = sample(split, train, test)
    begun = time.perf_counter()
    truths, goal = np.array(rows.targets), np.array(held.targets)
    part = assign_folds(3, rows.units, rows.targets)
    inside, outside, seconds = {}, {}, {}
    for name in (CHEAP, DEAR):
        out: dict[int, object] = {}
        for k in range(3):
            test_rows = np.flatnonzero(part == k).tolist()
            model = fitted(name, rows.take(np.flatnonzero(part != k).tolist()), case)
            out |= dict(zip(test_rows, model.predict(rows.take(test_rows).inputs), strict=True))
        inside[name] = [out[i] for i in range(len(rows))]
        model = fitted(name, rows, case)
        started = time.perf_counter()
        outside[name] = model.predict(held.inputs)
        seconds[name] = (time.perf_counter() - started) / len(held)
        print(case, name, f"{time.perf_counter() - begun:.0f} s", flush=True)
    own, later = (np.array([a.value for a in inside[name]]) == truths for name in (CHEAP, DEAR))
    own_out, later_out = (np.array([a.value for a in outside[name]]) == goal for name in (CHEAP, DEAR))
    lines = [
        f"## {split.title}\n", f"{split.source} {len(rows):,} training rows, {len(held):,} test rows, "
        f"{len(rows.schema.labels)} labels. `{CHEAP}`, then `{DEAR}`; thresholds on training rows held out in 3 folds, within so "
        "much of the last stage there.\n",
        "| | accuracy on test rows | bound at 95 % | rows handed on | simulated USD per 1,000 |", "|---|---|---|---|---|",
        _row(f"`{CHEAP}` alone", own_out, 0.0), _row(f"`{DEAR}` alone (stands in for a language model)", later_out, 1.0),
    ]  # fmt: skip
    for within in WITHIN:
        for signal in SIGNALS:
            found = choose(rows_of(inside[CHEAP]), own, later, within, (signal,))
            kept = found.rule.keeps(rows_of(outside[CHEAP]))
            name = f"cascade by {signal}, within {within:g} ({found.handed:.1%} on training rows)"
            lines.append(_row(name, np.where(kept, own_out, later_out), float((~kept).mean())))
    auto = choose(rows_of(inside[CHEAP]), own, later, WITHIN[0])
    lines.append(f"\n`by: auto` takes {auto.rule.signal}.")
    return lines


def _row(name: str, right: np.ndarray, handed: float) -> str:
    bound = success_probability(int(right.sum()), len(right), 0.05)
    return (
        f"| {name} | {right.mean():.3f} | {bound:.3f} | {handed:.1%} | {1000 * handed * SIMULATED_USD:.4f} |"
    )


def simulate(times: int) -> str:
    """Return how often a certificate of a cascade is wrong: thresholds on 400 rows, bound on 300 others, truth on 20,000."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        truth = rng.integers(0, 5, count)
        logits = rng.normal(0, 1, (count, 5))
        logits[np.arange(count), truth] += 2.0
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return chances, chances.argmax(axis=1) == truth, rng.random(count) < 0.93

    chances, own, later = drawn(20_000)
    wrong = 0
    for _ in range(times):
        rule = choose(*drawn(400), WITHIN[0]).rule
        new, a, b = drawn(300)
        bound = success_probability(int(np.where(rule.keeps(new), a, b).sum()), 300, 0.05)
        wrong += bool(bound > np.where(rule.keeps(chances), own, later).mean())
    return f"Of {times:,} simulated cascades, each with its thresholds searched on 400 rows and certified at 95 % on 300 others, {wrong} certificates ({wrong / times:.1%}) claimed more than is true."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="debian,newsgroups,chinese")
    parser.add_argument("--train", type=int, default=3_000)
    parser.add_argument("--test", type=int, default=3_000)
    parser.add_argument("--simulations", type=int, default=1_000)
    options = parser.parse_args()
    old = RESULTS.read_text(encoding="utf-8").split("\n\n## ")[1:] if RESULTS.is_file() else []
    sections = {part.splitlines()[0]: f"## {part.strip()}" for part in old}
    with use_embedding_cache(cache_folder() / "embeddings", 1):
        for case in filter(None, options.cases.split(",")):
            lines = measure(case, options.train, options.test)
            sections[lines[0][3:].strip()] = "\n".join(lines)
            print("\n".join(lines), flush=True)
    if options.simulations:
        sections["Certificates"] = f"## Certificates\n\n{simulate(options.simulations)}"
        print(sections["Certificates"], flush=True)
    top = f"# Cascades\n\nWritten by `python benchmarks/cascade.py --train {options.train} --test {options.test}`. The last stage is the strongest local rung; its price is simulated, its accuracy is not."
    RESULTS.write_text("\n\n".join([top, *sections.values()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
