"""Recommendation at scale: 10 million events of 100,000 users and 50,000 items made from ml-100k by bootstrap; a million items served.

`python recommendation_scale.py` writes results/recommendation_scale.md. Each fit runs in a process of its own that may take 8 GB of address space, on
one thread. `--share 0.1` takes a tenth of the users; `--only als,markov` some rungs. What was measured before stays in
results/recommendation_scale.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
from recommendation import events

from rung.core import registry
from rung.core.errors import RungError
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples
from rung.modalities.recommendation.catalogue import Catalogue, Item, write_items
from rung.modalities.recommendation.recommender import Recommender, Shelf
from rung.modalities.recommendation.scorers import FoldIn, ItemSums, Scorer
from rung.modalities.recommendation.sparse_rows import SparseRows
from rung.modalities.recommendation.wishes import Wishes

HERE = Path(__file__).parent
ROWS, PAGE = HERE / "results" / "recommendation_scale.jsonl", HERE / "results" / "recommendation_scale.md"
USERS, CLONES, SEED, LIMIT = 100_000, 30, 42, 8_000_000_000
# Share of a user's films that are taken in the user's own edition of the catalogue, the others in any.
_OWN = 0.8
RUNGS = (
    "popularity",
    "item_neighbours",
    "markov",
    "content",
    "als",
    "ease",
    "prefix_linear",
    "history_cascade",
)
ITEMS = 1_000_000


def bootstrap(share: float) -> tuple[Examples, list[Item]]:
    """Return users drawn with replacement from those of ml-100k, and the items.

    Each film stands in 30 editions. A drawn user has one of them: four fifths of their films are of that edition, the others of any.
    So tastes, popularity and orders are those of real people, and users of one edition have more in common.
    """
    users, table = events()
    import csv

    with table.open(encoding="utf-8", newline="") as file:
        films = {row["film"]: row for row in csv.DictReader(file)}
    names = {(film, clone): f"{film}-{clone}" for film in films for clone in range(CLONES)}
    rng, own = np.random.default_rng(SEED), list(users.values())
    task = registry.task("recommendation")
    histories, later, units = [], [], []
    for number in range(int(USERS * share)):
        taken = own[int(rng.integers(len(own)))]
        edition = int(rng.integers(CLONES))
        strange = rng.random(len(taken)) >= _OWN
        editions = np.where(strange, rng.integers(0, CLONES, len(taken)), edition).tolist()
        kept = (rng.random(len(taken)) < 0.95).tolist()
        events_of = [
            [names[film, clone], when, weight]
            for (film, when, weight), clone, keep in zip(taken, editions, kept, strict=True)
            if keep
        ]
        cut = max(int(0.8 * len(events_of)), 1)
        histories.append(events_of[:cut])
        later.append(events_of[cut:])
        units.append(f"{number:016x}")
    n = len(units)
    inputs = {"history": histories, "k": [None] * n, "exclude": [None] * n, "context": [None] * n}
    schema = task.schema(tuple(inputs), [])
    items = [
        Item(name, films[film]["title"], tuple(filter(None, films[film]["genres"].split("|"))))
        for (film, _), name in names.items()
    ]
    return Examples(schema, inputs, later, units, list(range(1, n + 1)), [0.0] * n), items


def peak_mb() -> float:
    """Return the most memory that this process has held, in megabytes."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 0)


def fit_one(name: str, share: float) -> dict[str, Any]:
    """Return what a fit of one rung took, in this process."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    rows, items = bootstrap(share)
    count = sum(map(len, rows.inputs["history"])) + sum(map(len, rows.targets))
    before, family = peak_mb(), registry.model(name)
    found: dict[str, Any] = {"part": "fit", "rung": name, "share": share, "events": count, "users": len(rows), "items": len(items), "data_mb": before}  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "items.jsonl"
        write_items(table, items)
        del items
        options = {"recommend": {"items": {"path": "items"}}}
        context = FitContext(tables={"items": table}, options=options, seed=0)
        begun, cpu = time.perf_counter(), time.process_time()
        try:
            model = family.fit(rows, make_params(family.Params, {}), context)
        except RungError as error:
            return found | {"refused": f"{error.problem}. {error.fix}", "seconds": round(time.perf_counter() - begun, 1), "peak_mb": peak_mb()}  # fmt: skip
        except MemoryError:
            return found | {"refused": "", "out_of_memory": True, "peak_mb": peak_mb()}
        found |= {"seconds": round(time.perf_counter() - begun, 1), "cpu_seconds": round(time.process_time() - cpu, 1), "peak_mb": peak_mb()}  # fmt: skip
        folder = Path(scratch) / "model"
        folder.mkdir()
        model.save(folder)
        found["mb"] = round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6, 1)
    asked = rows.inputs["history"][:100]
    begun = time.perf_counter()
    for history in asked:
        model.predict({"history": [history]})
    return found | {"answer_ms": round((time.perf_counter() - begun) * 10, 2)}


def write_million(folder: Path, kind: str) -> None:
    """Write a model of a million items: real titles and genres, and random neighbours or factors, which take the same memory."""
    _, table = events()
    import csv

    with table.open(encoding="utf-8", newline="") as file:
        films = list(csv.DictReader(file))
    items = tuple(
        Item(f"item-{n}", films[n % len(films)]["title"], tuple(filter(None, films[n % len(films)]["genres"].split("|"))))
        for n in range(ITEMS)
    )  # fmt: skip
    rng = np.random.default_rng(SEED)
    popular = np.sort(rng.pareto(1.0, ITEMS))[::-1].copy()
    scorer: Scorer
    if kind == "als":
        scorer = FoldIn(rng.normal(0.0, 0.1, (ITEMS, 48)).astype(np.float32), 30.0, 10.0, "als")
    else:
        each = 50
        columns = np.sort(rng.integers(0, ITEMS, (ITEMS, each), dtype=np.uint32), axis=1).ravel()
        begins = np.arange(0, ITEMS * each + 1, each, dtype=np.int64)
        scorer = ItemSums(
            SparseRows(begins, columns, rng.random(ITEMS * each).astype(np.float16), ITEMS), popular, kind
        )
    Recommender_(Shelf(Catalogue(items), popular, popular / popular.sum(), Wishes()), scorer, {}).save(folder)


class Recommender_(Recommender):  # noqa: N801
    """A recommender put together by hand."""

    fit = classmethod(lambda cls, *given: None)  # type: ignore[assignment]
    cost = classmethod(lambda cls, *given: None)  # type: ignore[assignment]


def serve_one(folder: Path, kind: str) -> dict[str, Any]:
    """Return what loading a model of a million items and answering from it takes, in this process."""
    begun = time.perf_counter()
    family, schema = registry.model(kind), registry.task("recommendation").schema(("history",), [])
    model = family.load(folder, schema)
    loaded = time.perf_counter() - begun
    rng, taken = np.random.default_rng(SEED), []
    for _ in range(30):
        history = [[f"item-{n}", None, 1.0] for n in rng.integers(0, ITEMS, 100).tolist()]
        begun = time.perf_counter()
        model.predict({"history": [history]})
        taken.append(time.perf_counter() - begun)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    return {"part": "serve", "rung": kind, "items": ITEMS, "load_seconds": round(loaded, 1), "answer_ms": round(float(np.median(taken)) * 1e3, 1),
            "mb": round(size, 0), "peak_mb": peak_mb()}  # fmt: skip


def in_process(*words: str) -> dict[str, Any]:
    """Return what this script prints for these words in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        return {
            "part": "fit",
            "rung": words[1],
            "failed": done.stderr.strip().splitlines()[-1][:200]
            if done.stderr.strip()
            else str(done.returncode),
        }
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def page(rows: Sequence[dict[str, Any]]) -> str:
    """Return the page of results."""
    lines = [
        "# Recommendation at scale", "",
        f"Measured on {date.today().isoformat()} with Python {platform.python_version()}, numpy {version('numpy')}, scipy {version('scipy')}, "
        f"{os.cpu_count()} cores ({platform.machine()}), one thread, cores busy with other work as well. Written by `benchmarks/recommendation_scale.py`; seed {SEED}.", "",
        "The events are made from ml-100k by bootstrap: users are drawn with replacement, each film stands in 30 editions, a drawn user has one edition, a fifth of "
        "their films are of another, and one event in twenty is left out. Times, orders, tastes and popularity are those of real people; that "
        "there were so many is not. Scores would say nothing, so none are given. Every fit is a process that may take 8 GB.", "",
    ]  # fmt: skip
    for share in sorted({row["share"] for row in rows if row["part"] == "fit"}, reverse=True):
        own = [row for row in rows if row["part"] == "fit" and row["share"] == share]
        first = own[0]
        lines += [
            f"## {first['events']:,} events, {first['users']:,} users, {first['items']:,} items", "",
            "Memory is the most that the process held, the events as Python values among it; CPU seconds are of the fit.", "",
            "| rung | memory, GB | of it events, GB | CPU seconds | stored, MB | an answer, ms |", "|---|---|---|---|---|---|",
        ]  # fmt: skip
        for row in own:
            if "refused" in row:
                what = row["refused"] or "it ran out of 8 GB"
                lines.append(
                    f"| {row['rung']} | {row['peak_mb'] / 1e3:.1f} | {row['data_mb'] / 1e3:.1f} | refused: {what} | | |"
                )
            else:
                lines.append(
                    f"| {row['rung']} | {row['peak_mb'] / 1e3:.1f} | {row['data_mb'] / 1e3:.1f} | {row['cpu_seconds']:,.0f} | {row['mb']:,.0f} | {row['answer_ms']} |"
                )
        lines.append("")
    whole = {row["rung"] for row in rows if row["part"] == "fit" and row["share"] == 1.0}
    if missing := [name for name in RUNGS if name not in whole]:
        lines += [f"Not measured at the whole size: {', '.join(missing)}.", ""]
    served = [row for row in rows if row["part"] == "serve"]
    if served:
        lines += [f"## {ITEMS:,} items served", "", "A process that loads the model and answers 30 histories of 100 events: real titles and genres, random "
                  "neighbours (50 an item) or factors (48 numbers), which take the memory that learned ones take.", "",
                  "| rung | memory, GB | stored, MB | load, s | an answer, ms |", "|---|---|---|---|---|"]  # fmt: skip
        lines += [
            f"| {row['rung']} | {row['peak_mb'] / 1e3:.2f} | {row['mb']:,.0f} | {row['load_seconds']} | {row['answer_ms']} |"
            for row in served
        ]
        lines.append("")
    lines += ["`sasrec` and `two_tower` hold no matrix of items by items either, and score a sample of 4,000 items at each step from 8,000 items on; on one CPU core they would, by their plan, train "
        "for hours at this size.", ""]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Measure the chosen rungs and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--only", default=",".join((*RUNGS, "serve")))
    parser.add_argument("--one", default="")
    parser.add_argument("--folder", default="")
    given = parser.parse_args()
    if given.one:
        found = serve_one(Path(given.folder), given.one) if given.folder else fit_one(given.one, given.share)
        print(json.dumps(found), flush=True)
        return
    kept = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.is_file() else []
    wanted = given.only.split(",")

    def note(row: dict[str, Any]) -> None:
        print(json.dumps(row), flush=True)
        if "failed" in row:
            return
        key = (row["part"], row["rung"], row.get("share"))
        kept[:] = [old for old in kept if (old["part"], old["rung"], old.get("share")) != key] + [row]
        places = {name: place for place, name in enumerate(RUNGS)}
        kept.sort(key=lambda row: (row["part"], places[row["rung"]]))
        ROWS.write_text("".join(json.dumps(row) + "\n" for row in kept))
        PAGE.write_text(page(kept), encoding="utf-8")

    for name in (name for name in RUNGS if name in wanted):
        note(in_process("--one", name, "--share", str(given.share)))
    if "serve" in wanted:
        for kind in ("item_neighbours", "als"):
            with tempfile.TemporaryDirectory() as folder:
                write_million(Path(folder), kind)
                note(in_process("--one", kind, "--folder", folder))


if __name__ == "__main__":
    main()
