"""Measure how soon real drift is found: `python benchmarks/drift.py --peers PYTHON [--cases groups,reviews,chinese]`.

A classifier is built on half of a world; a stream is rows of the other half, and after 500 rows a share of them comes
from another world. All detectors may alarm on 5 % of quiet streams of 1,000 rows: their thresholds are tuned to that on
streams that nothing else is measured on. PYTHON has the peers: a virtual environment with `pip install river==0.26.1
evidently==0.7.23 'pandas<3'`. Writes benchmarks/results/drift.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from drift_data import CASES, World

import rung
from rung.core import registry
from rung.core.manifest import read_manifest
from rung.core.spec.drift import DriftSpec
from rung.monitoring.drift.rank_test import RankTest
from rung.monitoring.drift.reference import DriftReference, read_reference
from rung.monitoring.drift_monitor import ALPHA_SHARES, start_period

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "drift.md"
QUIET, DRIFTED, BEFORE = 1_000, 1_000, 500
MIXES = (1.0, 0.3, 0.1)
ALARMS = 0.05


@dataclass(frozen=True)
class Looked:
    """What detectors see of rows: bins of rung's statistics, and numbers for the others."""

    bins: Mapping[str, np.ndarray]
    sure: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray

    def take(self, rows: np.ndarray) -> Looked:
        return Looked(
            {k: v[rows] for k, v in self.bins.items()}, self.sure[rows], self.labels[rows], self.numbers[rows]
        )


def build(world: World) -> tuple[rung.Build, DriftReference]:
    """Return the build of a world's training rows, whose bundle has the reference."""
    folder = Path(tempfile.mkdtemp(prefix="rung-drift-"))
    lines = [
        json.dumps({"text": t, "label": y})
        for t, y in zip(world.train_texts, world.train_labels, strict=True)
    ]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "product.yaml").write_text(
        "task: text_classification\ndata: {path: rows.jsonl}\nbar: {metric: accuracy, at_least: 0.5}\n"
        "budget: {effort: 1, threads: 1}\nladder: [tfidf_linear]\nrepeats: 0\ncertify: {fraction: 0}\n"
    )
    built = rung.build(folder / "product.yaml")
    return built, read_reference(built.bundle)


def look(built: rung.Build, reference: DriftReference, texts: Sequence[str]) -> Looked:
    """Return what is seen of texts."""
    model = rung.load(built.bundle)
    answers = model.predict(list(texts))
    read: list[dict[str, str]] = []
    for _ in model.respond(texts, read=read.append):
        pass
    columns = {"text": [row["text"] for row in read]}
    assert reference.inputs.text_model is not None
    rarity, distance, _ = reference.inputs.text_model.measure(columns["text"])
    sure = np.array([answer.score or 0.0 for answer in answers])
    length = np.log1p([len(text) for text in columns["text"]])
    numbers = np.nan_to_num(np.column_stack([sure, length, rarity, distance]))
    labels = np.array([answer.value for answer in answers])
    return Looked(reference.inputs.assign_bins(model.schema, columns), sure, labels, numbers)


def evidence(built: rung.Build, reference: DriftReference, stream: Looked, seed: int) -> np.ndarray:
    """Return after each row the greatest log capital beyond what the test's share of the false alarms asks for.

    It alarms at `false_alarms` a when this reaches log(1 / a).
    """
    manifest = read_manifest(built.bundle)
    period = start_period(reference, manifest, DriftSpec())
    draw, found = np.random.default_rng(seed), []
    answers = {"answer": reference.predictions.value_bins.assign(stream.labels.tolist())}
    if reference.predictions.confidence_bins is not None:
        answers["sureness"] = reference.predictions.confidence_bins.assign(stream.sure.tolist())
    for watched in period.tests:
        if watched.kind == "right":
            continue
        if isinstance(watched.test, RankTest):
            bins = (stream.bins | answers)[watched.key]
            capital = watched.test.update(bins, draw.random(len(bins)))
        else:
            label = watched.key.removeprefix("share:")
            capital = watched.test.update(
                stream.sure if watched.key == "sure" else (stream.labels == label).astype(float)
            )
        alike = sum(other.kind == watched.kind for other in period.tests)
        found.append(capital - math.log(alike / ALPHA_SHARES[watched.kind]))
    return np.maximum.accumulate(np.max(found, axis=0))


def streams(later: int, other: int, count: int, mix: float, seed: int) -> list[np.ndarray]:
    """Return streams as row numbers, those of the other world after the known ones'; quiet ones for a mix of 0."""
    draw, found = np.random.default_rng(seed), []
    for _ in range(count):
        known = draw.choice(later, QUIET if not mix else BEFORE + DRIFTED, replace=False)
        if mix:
            foreign = later + draw.choice(other, DRIFTED, replace=other < DRIFTED)
            swapped = draw.random(DRIFTED) < mix
            known[BEFORE:] = np.where(swapped, foreign, known[BEFORE:])
        found.append(known)
    return found


def first(values: np.ndarray, level: float) -> float:
    """Return the row at which values first reach a level; inf for never."""
    over = np.flatnonzero(values >= level)
    return float(over[0] + 1) if len(over) else math.inf


def tuned(curves: Sequence[np.ndarray]) -> float:
    """Return the level that at most 5 % of quiet curves reach."""
    tops = np.sort([curve[-1] for curve in curves])
    return float(np.nextafter(tops[-1 - int(ALARMS * len(tops))], math.inf))


def measure(case: str, peers: str | None, most: int) -> str:
    """Return the section of a case."""
    world = CASES[case]()
    built, reference = build(world)
    rows = look(built, reference, world.later + world.other)
    later, other = len(world.later), len(world.other)
    print(world.title, later, other, flush=True)
    sets = {"tune": streams(later, other, most, 0, 1), "quiet": streams(later, other, most, 0, 2)}
    sets |= {f"mix{mix}": streams(later, other, max(most // 2, 5), mix, 3) for mix in MIXES}
    begun = time.process_time()
    curves = {
        name: [evidence(built, reference, rows.take(s), seed) for seed, s in enumerate(of)]
        for name, of in sets.items()
    }
    seconds = time.process_time() - begun
    lengths = sum(len(s) for of in sets.values() for s in of)
    found = {
        "rung, as stated: 5 % for ever": {
            n: [first(c, math.log(1 / ALARMS)) for c in of] for n, of in curves.items()
        }
    }
    level = tuned(curves["tune"])
    found["rung, tuned to 5 % of 1,000 rows"] = {n: [first(c, level) for c in of] for n, of in curves.items()}
    if peers:
        found |= ask_peers(peers, rows, reference, built, sets, most)
    head = f"## {world.title}\n\n{len(world.train_texts):,} training rows, {later:,} later ones, {other:,} of the other world; "
    head += (
        f"{most} quiet streams to tune and {most} to test, {max(most // 2, 5)} drifting ones for each share. "
    )
    head += f"rung: {seconds / lengths * 1e6:.0f} µs a row once it is looked at. Reference of {reference.rows:,} rows.\n\n"
    return head + table(found)


def ask_peers(
    peers: str,
    rows: Looked,
    reference: DriftReference,
    built: rung.Build,
    sets: Mapping[str, list[np.ndarray]],
    most: int,
) -> dict[str, dict[str, list[float]]]:
    """Return first alarms of the peers, whose thresholds are tuned in their own process."""
    known = Path(built.folder) / "peers"
    known.mkdir(exist_ok=True)
    # What they hold streams against: 500 later rows, of which streams may hold some: no disadvantage.
    held = np.random.default_rng(9).permutation(max(map(max, sets["tune"])) + 1)[:500]
    np.savez(
        known / "in.npz", numbers=rows.numbers, labels=rows.labels.astype(str), reference=held,
        **{f"{name}-{nth}": s for name, of in sets.items() for nth, s in enumerate(of)},
    )  # fmt: skip
    command = [peers, str(HERE / "workers" / "drift.py"), str(known / "in.npz"), str(known / "out.json")]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""})
    raw = json.loads((known / "out.json").read_text())
    return {
        name: {k: [math.inf if x is None else x for x in v] for k, v in of.items()}
        for name, of in raw.items()
    }


def table(found: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return the table: false alarms on test streams, and delays, in rows, of the drifts that were found."""
    head = (
        "| detector | quiet streams that alarm | " + " | ".join(f"{mix:.0%} of rows" for mix in MIXES) + " |"
    )
    lines = [head, "|---" * (2 + len(MIXES)) + "|"]
    for name, of in found.items():
        alarms = np.mean(np.isfinite(of["quiet"]))
        cells = []
        for mix in MIXES:
            at = np.array(of[f"mix{mix}"])
            early = int((at <= BEFORE).sum())
            delays = at[at > BEFORE] - BEFORE
            middle = np.median(delays) if len(delays) else math.inf
            said = f"{middle:.0f}" if np.isfinite(middle) else "over 1,000"
            missed = int(np.isinf(delays).sum())
            cells.append(
                said
                + (f" ({missed} of {len(at)} missed)" if missed else "")
                + (f", {early} early" if early else "")
            )
        lines.append(f"| {name} | {alarms:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


_NOTE = """Cells are the median delay in rows from the first row that could be of the other world, over the streams without an
alarm before; `missed` found nothing within 1,000 rows, `early` alarmed before the change. Every detector's threshold is tuned
on quiet streams so that at most 5 % of them alarm within 1,000 rows; `as stated` is rung at `false_alarms: 0.05`, untuned,
which holds for streams of any length, while the others' would go on to alarm. river's detectors read four numbers of each
row, the model's sureness, the length, and rung's own two numbers of rare words and distance, standardised, after 500
rows that warm them up; any of the four alarms (KSWIN, which is slow, reads sureness and distance alone). Evidently's tests compare windows of 100 rows of these numbers and the predicted
label with the same 500 rows, and are asked at the window's end (Kolmogorov-Smirnov and chi-square, the least p-value)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="groups,reviews,chinese")
    parser.add_argument("--peers", help="a Python with river and evidently")
    parser.add_argument("--streams", type=int, default=60)
    options = parser.parse_args()
    registry.model_names()
    versions = "river 0.26.1, evidently 0.7.23 (pandas 2)" if options.peers else "no peers"
    top = f"# How soon drift is found\n\nWritten by `python benchmarks/drift.py --peers PYTHON --streams {options.streams}`. "
    top += f"{versions}; numpy {np.__version__}; {platform.machine()}, one thread; seeds 1, 2, 3.\n\n{_NOTE}"
    old = RESULTS.read_text(encoding="utf-8").strip().split("\n\n## ")[1:] if RESULTS.is_file() else []
    sections = {part.splitlines()[0]: f"## {part}" for part in old}
    for case in options.cases.split(","):
        section = measure(case, options.peers, options.streams)
        sections[section.splitlines()[0].removeprefix("## ")] = section
        print(section, flush=True)
        RESULTS.write_text("\n\n".join([top, *sections.values()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
