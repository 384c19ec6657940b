"""Cascades on public texts: a cheap rung in front of the strongest local one, which stands in for a language model.

`python benchmarks/cascade.py --cases debian,newsgroups,chinese` writes results/cascade.md. Quality is measured; price and delay of
the last stage are those of a language model, simulated and labelled so. TRACER (tracer-llm) learns from the same rows in the same run.
Answers of a case are kept in the cache, so that a table can be written again without fitting; `--fresh` fits.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from sets import CACHE, Split, archive, chinese_reviews, newsgroups

from rung.core.folds import assign_folds
from rung.core.model import FitContext, Model
from rung.core.params import make_params
from rung.core.registry import model as family_of
from rung.core.stats.binomial import success_probability
from rung.core.types import Examples, Field, Schema
from rung.runtime.cascade.hand_on import SIGNALS, rows_of, scores
from rung.runtime.embeddings.settings import use_embedding_cache
from rung.runtime.weights.store import cache_folder
from rung.training.cascade.selective import learn_then_test, order_of_tests
from rung.training.cascade.thresholds import choose

RESULTS = Path(__file__).parent / "results" / "cascade.md"
# List price of a small language model, 400 tokens in and 10 out, and its delay: simulated, nothing is called here.
SIMULATED_USD, SIMULATED_S = (400 * 0.75 + 10 * 4.5) / 1e6, 1.0
WITHIN, CHEAP, DEAR, FOLDS = 0.005, "tfidf_linear", "blend", 5
TRACER = ("tracer-llm==0.3.3", "39a8f0d1b4fd87c89c19fc6a259aabaada282fa8ea8d3cb840ed3bc9803dd96c")
# Families that learn from the last stage's answers: on n-grams, and on the vectors that TRACER is given.
STUDENTS = {CHEAP: "taught", "frozen_encoder": "taught-vectors"}
# What TRACER must agree with its teacher on, and our own statement.
AGREEMENT = 0.95
# Of its candidates the forests and boosted trees take tens of minutes on so many labels; linear models and networks stay.
SKIPPED = ("gbt", "rf", "et")
_PEERS = "On TRACER's own ground"


@dataclass(frozen=True)
class Case:
    """A data set, rows to train and test on, and the parameters of both stages."""

    split: Split
    train: int
    test: int
    params: Mapping[str, object]
    dear: Mapping[str, object]


@dataclass(frozen=True)
class Answered:
    """Truths by number, and the probabilities that both stages gave: out of fold on training rows, and on test rows.

    taught: of a cheap stage that learned from the last stage's answers. vectors: of an encoder, for TRACER.
    """

    labels: list[str]
    truth: np.ndarray
    goal: np.ndarray
    inside: dict[str, np.ndarray]
    outside: dict[str, np.ndarray]
    seconds: dict[str, float]
    vectors: tuple[np.ndarray, np.ndarray]


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


def case_of(name: str) -> Case:
    """Return a case; its rows are few enough that all of it takes minutes."""
    if name == "debian":
        # Short texts of many labels: words that occur once say which.
        return Case(debian(), 6_000, 4_000, {"min_rows": 1}, {})
    if name == "newsgroups":
        return Case(newsgroups(), 2_000, 3_000, {}, {})
    return Case(chinese_reviews(), 4_000, 4_000, {}, {"weights": "e5_small"})


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


def fitted(name: str, rows: Examples, case: Case) -> Model:
    family = family_of(name)
    given = dict(case.params if name != "frozen_encoder" else {}) | dict(case.dear if name != CHEAP else {})
    return family.fit(rows, make_params(family.Params, given), FitContext(effort=1, threads=1))


def out_of_fold(name: str, rows: Examples, case: Case) -> np.ndarray:
    """Return the probabilities of each row by a model that had not learned from it."""
    part = assign_folds(FOLDS, rows.units, rows.targets)
    found = np.zeros((len(rows), len(rows.schema.labels)))
    for k in range(FOLDS):
        test = np.flatnonzero(part == k).tolist()
        model = fitted(name, rows.take(np.flatnonzero(part != k).tolist()), case)
        found[test] = rows_of(model.predict(rows.take(test).inputs))
    return found


def answered(name: str, fresh: bool) -> tuple[Case, Answered]:
    """Return what both stages said, fitted now or kept from an earlier run of the same case."""
    case = case_of(name)
    place = CACHE / f"cascade-{name}-{case.train}-{case.test}-2.npz"
    if fresh or not place.is_file():
        begun = time.perf_counter()
        rows, held = sample(case.split, case.train, case.test)
        kept: dict[str, np.ndarray] = {"labels": np.array(rows.schema.labels)}
        number = {label: i for i, label in enumerate(rows.schema.labels)}
        kept["truth"] = np.array([number[label] for label in rows.targets])
        kept["goal"] = np.array([number[label] for label in held.targets])
        for stage in (CHEAP, DEAR):
            kept[f"in-{stage}"] = out_of_fold(stage, rows, case)
            model = fitted(stage, rows, case)
            started = time.perf_counter()
            kept[f"out-{stage}"] = rows_of(model.predict(held.inputs))
            kept[f"s-{stage}"] = np.array((time.perf_counter() - started) / len(held))
            print(name, stage, f"{time.perf_counter() - begun:.0f} s", flush=True)
        embedder = model._embedder  # type: ignore[attr-defined]
        kept["vectors"], kept["out-vectors"] = (
            embedder.embed([text.strip() for text in part.inputs["text"]]) for part in (rows, held)
        )
        # Students of the last stage: on its answers, which it gave to rows it had not learned from.
        said = [rows.schema.labels[i] for i in kept[f"in-{DEAR}"].argmax(axis=1)]
        taught = Examples(rows.schema, rows.inputs, said, rows.units, rows.rows, rows.times)
        for stage, student in STUDENTS.items():
            kept[f"in-{student}"] = out_of_fold(stage, taught, case)
            kept[f"out-{student}"] = rows_of(fitted(stage, taught, case).predict(held.inputs))
            print(name, student, f"{time.perf_counter() - begun:.0f} s", flush=True)
        np.savez_compressed(place, **kept)
    with np.load(place) as raw:
        stages = (CHEAP, DEAR, *STUDENTS.values())
        return case, Answered(
            raw["labels"].tolist(), raw["truth"], raw["goal"],
            {stage: raw[f"in-{stage}"] for stage in stages}, {stage: raw[f"out-{stage}"] for stage in stages},
            {stage: float(raw[f"s-{stage}"]) for stage in (CHEAP, DEAR)}, (raw["vectors"], raw["out-vectors"]),
        )  # fmt: skip


def measure(name: str, fresh: bool, peers: bool) -> list[str]:
    """Return the table of a case: the two stages, a cascade by each signal, and TRACER on its own ground."""
    case, found = answered(name, fresh)
    inside, outside = found.inside, found.outside
    own, later = (inside[stage].argmax(axis=1) == found.truth for stage in (CHEAP, DEAR))
    own_out, later_out = (outside[stage].argmax(axis=1) == found.goal for stage in (CHEAP, DEAR))
    lines = [
        f"## {case.split.title}\n", f"{case.split.source} {len(found.truth):,} training rows, {len(found.goal):,} test rows, "
        f"{len(found.labels)} labels; effort 1, {dict(case.params) or 'no parameters'}. `{CHEAP}`, then `{DEAR}`. Thresholds are chosen on training rows "
        f"held out in {FOLDS} folds, within {WITHIN:g} of the last stage there; both stages are then fitted on all of them.\n",
        "| | accuracy on test rows | bound at 95 % | behind the last stage | rows handed on | simulated USD per 1,000 | simulated s a row |", "|---|---|---|---|---|---|---|",
        _row(f"`{CHEAP}` alone", own_out, later_out, 0.0, found.seconds[CHEAP]),
        _row(f"`{DEAR}` alone (stands in for a language model)", later_out, later_out, 1.0, found.seconds[CHEAP]),
    ]  # fmt: skip
    handed = {}
    for signal in SIGNALS:
        chosen = choose(inside[CHEAP], own, later, WITHIN, (signal,))
        kept = chosen.rule.keeps(outside[CHEAP])
        handed[signal] = chosen.handed
        text = f"cascade by {signal} ({chosen.handed:.1%} on training rows)"
        lines.append(
            _row(
                text,
                np.where(kept, own_out, later_out),
                later_out,
                float((~kept).mean()),
                found.seconds[CHEAP],
            )
        )
    best = _at_share(found, 0.24)
    lines.append(
        _row(
            "cascade by margin that asks about 24 % of training rows",
            np.where(best, own_out, later_out),
            later_out,
            float((~best).mean()),
            found.seconds[CHEAP],
        )
    )
    auto = min(handed, key=handed.__getitem__)
    lines.append(
        f"\n`by: auto` takes {auto}: it hands on the fewest training rows. Benefit hands on {handed['benefit']:.1%} of them, margin "
        f"{handed['margin']:.1%}. Both stages right or wrong together: {np.mean(own_out == later_out):.1%} of the test rows; one of them right: {np.mean(own_out | later_out):.1%}."
    )
    return [*lines, *_selective(found), *(_tracer(found) if peers else [])]


def _at_share(found: Answered, share: float) -> np.ndarray:
    """Return which test rows stay when this share of the training rows is handed on by the margin: no label is needed for it."""
    inside, outside = (scores("margin", part[CHEAP], np.zeros(0)) for part in (found.inside, found.outside))
    return outside >= np.quantile(inside, share)


def _selective(found: Answered) -> list[str]:
    """Return what Learn then Test states of the cheap stage alone, with a person behind it, and what is true on test rows."""
    half = np.random.default_rng(0).permutation(len(found.goal))
    spare, rest = half[: len(half) // 2], half[len(half) // 2 :]
    rows, out = found.inside[CHEAP], found.outside[CHEAP]
    right, right_out = rows.argmax(axis=1) == found.truth, out.argmax(axis=1) == found.goal
    lines = []
    for error in (0.05, 0.1):
        order = order_of_tests(rows.max(axis=1), right, len(spare), error)
        told = learn_then_test(order, out[spare].max(axis=1), right_out[spare], error)
        if told is None:
            lines.append(
                f"Learn then Test, `{CHEAP}` with a person behind it, at most {error:.0%} wrong: no threshold passes."
            )
            continue
        kept = out[rest].max(axis=1) >= told.threshold
        lines.append(
            f"Learn then Test, `{CHEAP}` with a person behind it: at most {error:.0%} of its answers are wrong, with 95 % confidence, and it answers at least "
            f"{told.coverage_bound:.1%} ({len(spare):,} rows kept from the fit). On {len(rest):,} other test rows {np.mean(~right_out[rest][kept]):.1%} of the answers are wrong, {kept.mean():.1%} are answered."
        )
    return ["", *lines]


def _tracer(found: Answered) -> list[str]:
    """Return TRACER's coverage and agreement with its teacher, and ours at the same agreement, on the same rows."""
    from sklearn import __version__ as sklearn_version

    packed = archive(*TRACER)
    sys.path.insert(0, str(packed))
    from tracer.api import fit, load_router
    from tracer.config import FitConfig

    teacher, teacher_out = (part[DEAR].argmax(axis=1) for part in (found.inside, found.outside))
    with tempfile.TemporaryDirectory() as folder:
        traces = Path(folder) / "traces.jsonl"
        traces.write_text(
            "\n".join(
                json.dumps({"input": str(i), "teacher": found.labels[t]}) for i, t in enumerate(teacher)
            ),
            encoding="utf-8",
        )
        begun = time.perf_counter()
        config = FitConfig(
            target_teacher_agreement=AGREEMENT, frontier_targets=(AGREEMENT,), verbose=False, skip_candidates=SKIPPED
        )  # fmt: skip
        result = fit(traces, Path(folder) / "out", found.vectors[0], config)
        seconds = time.perf_counter() - begun
        if result.manifest.selected_method is None:
            said = f"TRACER {TRACER[0].partition('==')[2]} finds no policy that agrees with its teacher on {AGREEMENT:.0%}."
            handled, labels = np.zeros(len(teacher_out), dtype=bool), teacher_out
        else:
            routed = load_router(Path(folder) / "out").predict_batch(found.vectors[1])
            number = {label: i for i, label in enumerate(found.labels)}
            # Its own numbers count the labels that the teacher gave, which may be fewer.
            handled = np.asarray(routed["handled"], dtype=bool)
            labels = np.array([number.get(label, -1) for label in routed["labels"]])
            said = ""
    sys.path.remove(str(packed))
    theirs = float((labels == teacher_out)[handled].mean()) if handled.any() else 1.0
    table = [
        f"\n{_PEERS}: agreement with the teacher (`{DEAR}`, whose answers on training rows are those of models that had not learned from them), on "
        f"{len(teacher_out):,} test rows; TRACER {TRACER[0].partition('==')[2]} with the encoder's vectors, which is most of the last stage's price here (`{CHEAP}` reads n-grams, "
        f"`frozen_encoder` the same vectors), without its forests and boosted trees, {seconds:.0f} s, scikit-learn {sklearn_version}. {said}\n",
        "| | answered without the teacher | agreement with it there | accuracy of the whole against truth | bound at 95 % |", "|---|---|---|---|---|",
        _routed(f"TRACER, target {AGREEMENT:g}", handled, labels, teacher_out, found.goal),
    ]  # fmt: skip
    for stage, student in STUDENTS.items():
        taught, taught_out = found.inside[student], found.outside[student]
        same, same_out = taught.argmax(axis=1) == teacher, taught_out.argmax(axis=1) == teacher_out
        # Our own threshold: chosen on training rows alone, for the same promise.
        order = order_of_tests(taught.max(axis=1), same, len(taught), 1 - AGREEMENT)
        stated = learn_then_test(order, taught.max(axis=1), same, 1 - AGREEMENT)
        ours = taught_out.max(axis=1) >= (stated.threshold if stated else np.inf)
        name = f"`{stage}` taught, Learn then Test for {AGREEMENT:g} on training rows"
        table.append(_routed(name, ours, taught_out.argmax(axis=1), teacher_out, found.goal))
        if handled.any():
            equal = _coverage_at(taught_out.max(axis=1), same_out, max(theirs, 1e-9))
            table.append(f"| `{stage}` taught, at TRACER's agreement | {equal:.1%} | {theirs:.3f} | | |")
    return table


def _coverage_at(scores: np.ndarray, same: np.ndarray, agreement: float) -> float:
    """Return the largest share of rows, surest first, on which so much agrees."""
    order = np.argsort(-scores, kind="stable")
    running = np.cumsum(same[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(running >= agreement)
    return float((good[-1] + 1) / len(order)) if len(good) else 0.0


def _routed(name: str, handled: np.ndarray, labels: np.ndarray, teacher: np.ndarray, goal: np.ndarray) -> str:
    right = np.where(handled, labels, teacher) == goal
    agreement = f"{np.mean((labels == teacher)[handled]):.3f}" if handled.any() else ""
    return f"| {name} | {handled.mean():.1%} | {agreement} | {right.mean():.3f} | {_bound(right):.3f} |"


def _bound(right: np.ndarray) -> float:
    return success_probability(int(right.sum()), len(right), 0.05)


def _row(name: str, right: np.ndarray, last: np.ndarray, handed: float, seconds: float) -> str:
    behind = 100 * (last.mean() - right.mean())
    return (
        f"| {name} | {right.mean():.3f} | {_bound(right):.3f} | {behind:+.2f} points | {handed:.1%} | "
        f"{1000 * handed * SIMULATED_USD:.4f} | {seconds * (handed < 1) + handed * SIMULATED_S:.3f} |"
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
        rule = choose(*drawn(400), WITHIN).rule
        new, a, b = drawn(300)
        bound = success_probability(int(np.where(rule.keeps(new), a, b).sum()), 300, 0.05)
        wrong += bool(bound > np.where(rule.keeps(chances), own, later).mean())
    return f"Of {times:,} simulated cascades, each with its thresholds searched on 400 rows and certified at 95 % on 300 others, {wrong} certificates ({wrong / times:.1%}) claimed more than is true."


def simulate_selective(times: int) -> list[str]:
    """Return how often Learn then Test claims what is not true, against models made to fool it."""
    rng, error, rows = np.random.default_rng(7), 0.1, 300

    def world(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
        if name == "calibrated":
            scores = rng.beta(6, 1, count)
            return scores, rng.random(count) < scores
        scores = rng.random(count)
        if name == "the surest answers are the worst":
            return scores, rng.random(count) < 0.97 - 0.12 * scores
        if name == "good and bad scores take turns":
            return scores, rng.random(count) < np.where((20 * scores).astype(int) % 2, 0.985, 0.81)
        return scores, rng.random(count) < 1 - error - 0.002

    lines = [
        f"Learn then Test, 1,000 times each, {rows} rows, at most {error:.0%} wrong at 95 % confidence:\n",
        "| scores | passed | claimed more than is true |",
        "|---|---|---|",
    ]
    names = ("calibrated", "the surest answers are the worst", "good and bad scores take turns", "every threshold just beyond the limit")  # fmt: skip
    for name in names:
        scores, right = world(name, 200_000)
        passed = wrong = 0
        for _ in range(times):
            order = order_of_tests(*world(name, 400), rows, error)
            found = learn_then_test(order, *world(name, rows), error)
            if found is not None:
                passed += 1
                wrong += bool((~right[scores >= found.threshold]).mean() > error)
        lines.append(f"| {name} | {passed:,} | {wrong} ({wrong / times:.1%}) |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="debian,newsgroups,chinese")
    parser.add_argument("--simulations", type=int, default=1_000)
    parser.add_argument("--no-peers", action="store_true", help="leave TRACER out")
    parser.add_argument("--fresh", action="store_true", help="fit again what is kept of an earlier run")
    options = parser.parse_args()
    old = RESULTS.read_text(encoding="utf-8").split("\n\n## ")[1:] if RESULTS.is_file() else []
    sections = {part.splitlines()[0]: f"## {part.strip()}" for part in old}
    with use_embedding_cache(cache_folder() / "embeddings", 1):
        for name in filter(None, options.cases.split(",")):
            lines = measure(name, options.fresh, not options.no_peers)
            title = lines[0][3:].strip()
            before = sections.get(title, "").partition(_PEERS)
            # What was measured of peers stays until it is measured again.
            kept = ["", _PEERS + before[2]] if options.no_peers and before[1] else []
            sections[title] = "\n".join([*lines, *kept])
            print("\n".join(lines), flush=True)
    if options.simulations:
        simulated = [simulate(options.simulations), "", *simulate_selective(options.simulations)]
        sections["Certificates"] = "\n".join(["## Certificates\n", *simulated])
        print(sections["Certificates"], flush=True)
    top = (
        "# Cascades\n\nWritten by `python benchmarks/cascade.py`. The last stage is the strongest local rung; its price (a small language model, 400 tokens "
        f"in and 10 out) and delay ({SIMULATED_S:g} s) are simulated, its accuracy is not. {date.today().isoformat()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"{platform.machine()}, 2 cores beside other work, one thread, seed 0."
    )
    RESULTS.write_text("\n\n".join([top, *sections.values()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
