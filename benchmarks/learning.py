"""Networks that learn against frozen models, on the same rows: accuracy, CPU time of the fit, speed, size.

    python benchmarks/learning.py --case ten --only mlp       # one contender; its line replaces the one before
    python benchmarks/learning.py --case ten                  # every contender of a case
    python benchmarks/learning.py --case ten --only setfit    # a peer, in an environment of its own
    python benchmarks/learning.py --case eight --draws 5      # 8 rows a class
    python benchmarks/learning.py --case products --only mlp  # builds with a certificate, English and Chinese
    python benchmarks/learning.py --case tables --only credit # networks of tables against trees
    python benchmarks/learning.py --case ten --only mlp --pieces DIR    # killed, the next call goes on from checkpoints
    python benchmarks/learning.py --page                      # write the page of what was measured

Every answer is one of the saved and loaded model, on one thread. CPU seconds are those of one fit from texts to a model
that can be saved, vectors of frozen encoders included. Lines lie in benchmarks/results/learning.jsonl, the page in learning.md.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from learning_page import lines, record, write_page
from peers import PEERS, SETFIT, SETFIT_LIMIT_S, Peer, PeerError, work
from sets import CASES, Split, ten_of_a_hundred
from tabular_contenders import run as run_table
from tabular_contenders import split_rows
from tabular_data import TABLES, Table

import rung
from rung.building.fit import split_validation
from rung.core import registry
from rung.core.kind import kind
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.spec.product import Located, Product
from rung.core.types import Examples, Field, Schema
from rung.runtime.embeddings.settings import use_embedding_cache

FROZEN: dict[str, tuple[str, dict[str, Any]]] = {
    "tfidf_linear": ("tfidf_linear", {}),
    "static_embedding": ("static_embedding", {}),
    "frozen_encoder": ("frozen_encoder", {}),
    "blend": ("blend", {}),
}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp, random start": ("mlp", {"init": "random"}),
    "mlp": ("mlp", {}),
    "cnn_text": ("cnn_text", {}),
    "lstm": ("lstm", {}),
    "gru": ("gru", {}),
    "transformer": ("transformer", {}),
    "finetuned_encoder, LoRA": ("finetuned_encoder", {"layers": "lora", "learning_rate": 1e-3}),
    "finetuned_encoder": ("finetuned_encoder", {}),
    "ensemble of blend and finetuned_encoder": (
        "ensemble",
        {"members": [{"model": "blend"}, {"model": "finetuned_encoder"}]},
    ),
    "ensemble of tfidf_linear and mlp": (
        "ensemble",
        {"members": [{"model": "tfidf_linear"}, {"model": "mlp", "params": {"init": "static"}}]},
    ),
}
CONTENDERS = FROZEN | NETWORKS
# The encoder for Chinese has twelve layers: all 13,890 rows would take an hour of one core.
OF_CASE: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "chinese": {"finetuned_encoder, 4,000 rows": ("finetuned_encoder", {"most_rows": 4_000})},
}
EIGHT: dict[str, tuple[str, dict[str, Any]]] = {
    "frozen_encoder, logistic": ("frozen_encoder", {"head": "logistic", "c": 10.0}),
    "fewshot_encoder": ("fewshot_encoder", {}),
    "fewshot_encoder, labels as anchors": ("fewshot_encoder", {"anchors": True}),
}

# As in `finetuned_encoder`.
RECIPE = {"tokens": 128, "batch": 16, "epochs": 2, "rate": 2e-4}
TRAINER = Peer(
    "transformers.Trainer (MiniLM), the same rate, batches and epochs",
    "finetune",
    SETFIT,
    weights="minilm",
    options={"by": "trainer", **RECIPE},
    home="setfit",
)
SETFIT_20 = Peer(
    "SetFit (MiniLM), num_iterations=20",
    "setfit",
    SETFIT,
    weights="minilm",
    options={"num_iterations": 20, "limit_s": SETFIT_LIMIT_S},
)
# By default SetFit draws every pair, of which the first steps are timed.
SETFITS = {"setfit_short": PEERS["setfit_short"], "setfit": PEERS["setfit"]}
TEXT_PEERS = {"trainer": TRAINER, **SETFITS}
EIGHT_PEERS = {"setfit_20": SETFIT_20, **SETFITS}
TABLE_MODELS = (
    "mlp_table",
    "lightgbm",
    "autogluon_networks",
    "boosted_trees",
    "stack",
    "stack with networks",
)
_OF_LINE = ("case", "name", "date")
# The defaults of `fewshot_encoder` were chosen on draws 0 and 1, with rows of another quarter of the test part.
_FIRST_DRAW = 2
# Rows of a product: enough for one fold instead of several.
PRODUCT_ROWS = 6_000
PRODUCTS = {
    "mlp": {"epochs": 8}, "cnn_text": {"epochs": 5}, "lstm": {"epochs": 4}, "gru": {"epochs": 3},
    "transformer": {"epochs": 5, "max_tokens": 96}, "finetuned_encoder": {"epochs": 1, "max_tokens": 64},
}  # fmt: skip
BARS = {"rotten": 0.64, "chinese": 0.72}


def examples(texts: list[str], labels: list[str]) -> Examples:
    """Return rows as a build hands them to a fit."""
    output = Field("label", "category", "output", tuple(sorted(set(labels))))
    schema = Schema((Field("text", "text", "input"),), (output,))
    units = [f"{number:016x}" for number in range(len(texts))]
    return Examples(
        schema, {"text": texts}, labels, units, list(range(1, len(texts) + 1)), [0.0] * len(texts)
    )


@contextmanager
def cpu_clock(folder: Path) -> Iterator[Callable[[], float]]:
    """Yield a function that returns the CPU seconds of this process since now, and of those that were killed before."""
    folder.mkdir(parents=True, exist_ok=True)
    before = sum(float(path.read_text() or 0.0) for path in folder.glob("cpu-*"))
    own, begun, ended = folder / f"cpu-{time.time_ns()}", time.process_time(), threading.Event()

    def write() -> None:
        while not ended.wait(5.0):
            own.write_text(str(time.process_time() - begun))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield lambda: before + time.process_time() - begun
    ended.set()
    writer.join()


def measure(model: str, params: dict[str, Any], split: Split, pieces: Path | None = None) -> dict[str, float]:
    """Return what one fit came to on the test rows, answered by what it saved. pieces: where a killed call goes on."""
    family = registry.model(model)
    given = examples(split.train_texts, split.train_labels)
    with tempfile.TemporaryDirectory() as scratch:
        kept = pieces or Path(scratch) / "kept"
        given_context = FitContext(threads=1, scratch=kept / "checkpoints")
        learn, context = split_validation(given, given_context, family.VALIDATION_SHARE)
        with use_embedding_cache(kept / "embeddings", 1), cpu_clock(kept) as cpu_seconds:
            fitted = family.fit(learn, make_params(family.Params, params), context)
            cpu = cpu_seconds()
        folder = Path(scratch) / "model"
        folder.mkdir()
        fitted.save(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        loaded = family.load(folder, given.schema)
        begun = time.process_time()
        answers = loaded.predict({"text": split.test_texts})
        seconds = time.process_time() - begun
    right = [a.value == label for a, label in zip(answers, split.test_labels, strict=True)]
    return {
        "accuracy": float(np.mean(right)), "cpu_seconds": cpu,
        "rows_per_cpu_s": len(answers) / seconds, "size_mb": size,
    }  # fmt: skip


def measure_peer(peer: Peer, split: Split) -> dict[str, Any]:
    """Return what one fit of a peer came to; accuracy None and `steps` where its seconds are extrapolated."""
    found = work(peer, split, 1)
    answers = found["answers"]
    right = None if answers is None else float(np.mean(np.array(answers) == np.array(split.test_labels)))
    cut = {"steps": found["steps"]} if found["steps"] else {}
    return {
        "accuracy": right,
        **{key: found[key] for key in ("cpu_seconds", "rows_per_cpu_s", "size_mb")},
        **cut,
    }


def eight_of_a_class(draw: int) -> Split:
    """Return ten newsgroups with eight training rows a class, drawn from the hundred, and their test part."""
    whole, chosen = ten_of_a_hundred(), random.Random(_FIRST_DRAW + draw)
    rows = list(zip(whole.train_texts, whole.train_labels, strict=True))
    few = [
        pair
        for label in sorted(set(whole.train_labels))
        for pair in chosen.sample([r for r in rows if r[1] == label], 8)
    ]
    # A part of the test rows: an encoder reads all 3,918 five times otherwise.
    test = list(zip(whole.test_texts, whole.test_labels, strict=True))[1::4]
    return Split(
        "eight", "", [t for t, _ in few], [y for _, y in few], [t for t, _ in test], [y for _, y in test]
    )


def product(model: str, case: str) -> dict[str, Any]:
    """Build a product whose ladder has the floor and one network, and answer the test rows with its bundle."""
    split = CASES[case]()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "train.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [("text", "label"), *zip(split.train_texts[:PRODUCT_ROWS], split.train_labels, strict=False)]
            )
        params: dict[str, Any] = {**PRODUCTS[model], "refit": False}
        spec = {
            "name": "bench", "task": "text_classification", "data": {"path": str(path)},
            "bar": {"metric": "accuracy", "at_least": BARS[case]}, "budget": {"effort": 1, "threads": 2},
            "ladder": ["majority", {"model": model, "params": params}], "repeats": 0,
        }  # fmt: skip
        begun = time.perf_counter()
        done = rung.build(Located(Product.model_validate(spec), path.parent), run=path.parent / "run")
        seconds = time.perf_counter() - begun
        report = done.report
        trial = next(t for t in report["trials"] if t["rung"] == model)
        answers = [a.value for a in rung.load(done.bundle).predict(split.test_texts[:500])]
    right = float(np.mean([a == label for a, label in zip(answers, split.test_labels, strict=False)]))
    return {
        "winner": report["winner"], "cleared": report["cleared"], "estimate": trial["scores"].get("accuracy"),
        "served_accuracy": right, "latency_ms": trial["latency_ms"], "size_mb": trial["size_mb"],
        "build_seconds": seconds,
    }  # fmt: skip


def table_examples(
    task_name: str, table: Table, rows: list[dict[str, str]], schema: Schema | None
) -> Examples:
    """Return rows of a table as a build hands them to a fit; schema: that of the training rows, for test rows."""
    task = registry.task(task_name)
    names = [name for name in rows[0] if name != table.target]
    targets = [task.parse_target(row[table.target]) for row in rows]
    if schema is None:
        cells = {name: Counter(row[name] for row in rows) for name in names}
        schema = task.described(task.schema(names, targets), Counter(targets), lambda: cells, {})
    readers = {field.name: kind(field.kind).reader(field) for field in schema.inputs}
    inputs = {name: [readers[name](row[name], name) for row in rows] for name in names}
    units = [f"{number:016x}" for number in range(len(rows))]
    return Examples(schema, inputs, targets, units, list(range(1, len(rows) + 1)), [0.0] * len(rows))


def tables(name: str, models: Sequence[str]) -> dict[str, Any]:
    """Return ROC-AUC, or R2 of numbers, of these models on the test quarter of a split, beside those measured before."""
    from sklearn.metrics import r2_score, roc_auc_score

    table = TABLES[name]()
    task = "tabular_classification" if table.positive else "tabular_regression"
    train_rows, test_rows = split_rows(table, 0)
    train = table_examples(task, table, train_rows, None)
    test = table_examples(task, table, test_rows, train.schema)
    before = [line for line in lines() if (line["case"], line["name"]) == ("tables", name)]
    found: dict[str, Any] = {key: value for key, value in (before or [{}])[0].items() if key not in _OF_LINE}
    found["rows"] = len(train_rows)
    for model in models:
        if model in ("lightgbm", "autogluon_networks"):
            found[model] = run_table(model, table, 0, 0.0).score
            continue
        family = registry.model(model.partition(" ")[0])
        params = family.Params(networks=True) if model == "stack with networks" else family.Params()
        cpu = time.process_time()
        fitted = family.fit(train, params, FitContext(threads=1))
        cpu = time.process_time() - cpu
        answers = fitted.predict(test.inputs)
        if table.positive:
            place = train.schema.labels.index(table.positive)
            chances = [float(a.extra["probabilities"][place]) for a in answers]
            score = roc_auc_score([t == table.positive for t in test.targets], chances)
        else:
            score = r2_score(test.targets, [a.value for a in answers])
        found |= {model: float(score), f"{model}_cpu_seconds": cpu}
    return found


def eight(only: str | None, draws: int, pieces: Path | None) -> None:
    """Measure contenders of eight rows a class, or one of them; a peer whose fit is cut short, on one draw."""
    for name, (model, params) in EIGHT.items():
        if only in (None, name):
            each = []
            for draw in range(draws):
                own = pieces and pieces / f"eight-{model}-{len(str(params))}-{draw}"
                each.append(measure(model, params, eight_of_a_class(draw), own))
            record("eight", name, _mean(each))
    for name, peer in EIGHT_PEERS.items():
        if only in (None, name):
            each = [measure_peer(peer, eight_of_a_class(0))]
            whole = each[0]["accuracy"] is not None
            each += [measure_peer(peer, eight_of_a_class(draw)) for draw in range(1, draws) if whole]
            record("eight", peer.title, _mean(each))


def _mean(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of several draws, and the accuracy of each."""
    if each[0]["accuracy"] is None:
        return {**each[0], "accuracies": []}
    mean = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
    return {**mean, "accuracies": [round(one["accuracy"], 4) for one in each]}


def run(case: str, only: str | None, draws: int, pieces: Path | None, models: Sequence[str]) -> None:
    """Measure the contenders of a case, or one of them."""
    if case == "products":
        for model in [only] if only else PRODUCTS:
            for language in BARS:
                record("products", f"{model}, {language}", product(model, language))
    elif case == "tables":
        for name in [only] if only else TABLES:
            record("tables", name, tables(name, models))
    elif case == "eight":
        eight(only, draws, pieces)
    else:
        for name, (model, params) in (CONTENDERS | OF_CASE.get(case, {})).items():
            if only in (None, name):
                own = pieces and pieces / f"{case}-{model}-{len(str(params))}"
                record(case, name, measure(model, params, CASES[case](), own))
        for name, peer in TEXT_PEERS.items():
            if only in (None, name):
                try:
                    record(case, peer.title, measure_peer(peer, CASES[case]()))
                except PeerError as error:
                    print(f"{name}: {error}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=["ten", "rotten", "chinese", "eight", "products", "tables"])
    parser.add_argument("--only", help="one contender")
    parser.add_argument("--draws", type=int, default=5, help="of eight rows a class")
    parser.add_argument("--model", choices=TABLE_MODELS, action="append", help="of tables; all by default")
    parser.add_argument("--pieces", type=Path, help="keep checkpoints here; the next call goes on")
    parser.add_argument("--page", action="store_true", help="write the page")
    asked = parser.parse_args()
    if asked.case:
        run(asked.case, asked.only, asked.draws, asked.pieces, asked.model or TABLE_MODELS)
    if asked.page:
        write_page(list(CONTENDERS), PRODUCT_ROWS, {key: peer.title for key, peer in TEXT_PEERS.items()})


if __name__ == "__main__":
    main()
