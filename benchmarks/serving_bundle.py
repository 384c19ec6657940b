"""The bundle that serving is measured with: MiniLM int8 and a head of 20 classes, on the first 20 words of newsgroup posts."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from sets import CACHE, newsgroups

import rung
from rung.core.spec.product import Product

EACH = 60
WORDS = 20


def bundle() -> Path:
    """Return the bundle's folder, built when it is first asked for; it says nothing about quality."""
    run = CACHE / f"serving-run-{rung.__version__}"
    if not (run / "bundle" / "manifest.json").is_file():
        with tempfile.TemporaryDirectory() as scratch:
            rung.build(_product(Path(scratch)), run=run)
    return run / "bundle"


def _product(folder: Path) -> Product:
    split, taken = newsgroups(), dict.fromkeys(set(newsgroups().train_labels), 0)
    with (folder / "posts.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for text, label in zip(split.train_texts, split.train_labels, strict=True):
            if taken[label] < EACH:
                taken[label] += 1
                writer.writerow([" ".join(text.split()[:WORDS]), label])
    spec = {
        "name": "posts",
        "task": "text_classification",
        "data": {"path": str(folder / "posts.csv"), "input": "text", "target": "label"},
        "bar": {"metric": "accuracy", "at_least": 0.1},
        "budget": {"effort": 0, "threads": 1},
        "ladder": ["frozen_encoder"],
    }
    return Product.model_validate(spec)
