"""Document reading: our reader and RapidOCR on the same pictures in the same run, and how many fields of cards are found.

    python benchmarks/reading.py            # cards and manuals, 60 of each; processor time of one thread
    python benchmarks/reading.py --count 20

Pictures are those of benchmarks/reading_data.py. Lines that RapidOCR gives are put into the order that ours are put into, and both
texts are compared with the truth after the same normalisation. Needs `rung weights fetch ppocr_v4` and `ppocr_v6`. Writes
benchmarks/results/reading.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from peers import HERE, Peer, environment
from reading_data import cards, manual

from rung.core import registry
from rung.core.blobs import Blob
from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.images.read_fields import fields_text
from rung.modalities.images.reading_metrics import error_rate, field_share
from rung.modalities.images.text_lines import TextLine, as_text, in_reading_order
from rung.modalities.images.text_reader import ReaderConfig
from rung.models.page_reader import PageReader, PageReaderParams
from rung.training.images.reader_weights import open_packaged_reader

RESULT = HERE / "results" / "reading.md"
# What a line must reach to be answered, as RapidOCR has it.
LEAST = 0.5
RAPID = Peer(
    "RapidOCR 3.10.0 (PP-OCRv6 small), its defaults",
    "rapidocr",
    ("rapidocr==3.10.0", "onnxruntime==1.31.1"),
)
SMALL = ReaderConfig(least_side=480, most_side=960)
OURS = {
    "page_reader_small (PP-OCRv4 mobile)": ("ppocr_v4", SMALL),
    "page_reader (PP-OCRv4 mobile)": ("ppocr_v4", ReaderConfig()),
    "page_reader_large (PP-OCRv6 small)": ("ppocr_v6", ReaderConfig()),
    "PP-OCRv6 small, sides 480 to 960": ("ppocr_v6", SMALL),
}
# Cards that teach where fields are, beside those that are answered.
TAUGHT = 80


def read_ours(weights: str, config: ReaderConfig, pictures: list[bytes]) -> tuple[list[str], float]:
    """Return the texts of pictures and the processor seconds of one, decoding included."""
    reader = open_packaged_reader(weights, config)
    reader.read([Blob.of(pictures[0])])
    texts, begun = [], time.process_time()
    for picture in pictures:
        (rows,) = reader.read([Blob.of(picture + b"\0")])  # other bytes: a decoded image is kept
        texts.append(as_text([[p for p in row if (p.score or 0) >= LEAST] for row in rows]))
    return texts, (time.process_time() - begun) / len(pictures)


def read_rapid(pictures: list[bytes]) -> tuple[list[str], float]:
    """Return what RapidOCR reads, in its own process and environment; see `read_ours`."""
    python = environment(RAPID)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "pictures").mkdir()
        for number, picture in enumerate(pictures):
            ending = "png" if picture.startswith(b"\x89PNG") else "jpg"
            (folder / "pictures" / f"{number:05}.{ending}").write_bytes(picture)
        command = [str(python), "-m", "workers.rapidocr", str(folder)]
        subprocess.run(command, cwd=HERE, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
        found = json.loads((folder / "result.json").read_text())
    texts = [as_text(in_reading_order([_line(*pair) for pair in lines])) for lines in found["answers"]]
    return texts, found["seconds"] / len(pictures)


def _line(text: str, corners: list[list[float]]) -> TextLine:
    (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
    return TextLine(text, left, top, right - left, bottom - top, 1.0)


def fields_of_cards(count: int) -> str:
    """Return a row of the table: fields found by a page_reader that learned from other cards."""
    known = list(cards(TAUGHT + count))
    schema = registry.task("document_reading").schema(["image"], [fields_text(known[0][1])])

    def examples(part: list[tuple[bytes, dict[str, str]]]) -> Examples:
        blobs = [Blob.of(picture) for picture, _ in part]
        rows = list(range(1, len(part) + 1))
        truths = [fields_text(fields) for _, fields in part]
        return Examples(
            schema, {"image": blobs}, truths, [f"{row:016x}" for row in rows], rows, [0.0] * len(rows)
        )

    params = PageReaderParams("ppocr_v6", SMALL.least_side, SMALL.most_side, most_rows=TAUGHT)
    model = PageReader.fit(examples(known[:TAUGHT]), params, FitContext(effort=1))
    test = examples(known[TAUGHT:])
    said = [answer.value for answer in model.predict(test.inputs)]
    shares = [field_share(truth, answer) for truth, answer in zip(test.targets, said, strict=True)]
    rates = [error_rate(truth, answer) for truth, answer in zip(test.targets, said, strict=True)]
    return f"| {TAUGHT} | {count} | {np.mean(shares):.3f} | {np.mean(rates):.4f} | {np.mean([s == 1 for s in shares]):.3f} |"


def text_of_card(fields: dict[str, str]) -> set[str]:
    """Return the words of a card's fields: where they stand is not known to a text, so words are compared."""
    return {word for value in fields.values() for word in value.split()}


def main() -> None:
    """Read all sets with all contenders and write the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--count", type=int, default=60)
    asked.add_argument("--manuals", action="store_true", help="only the manuals: no cards, no fields")
    given = asked.parse_args()
    count = given.count
    sets = {f"manual, {lang}": list(manual(lang, count)) for lang in ("en", "zh-cn")}
    contenders: dict[str, Callable[[list[bytes]], tuple[list[str], float]]] = {
        name: lambda pictures, given=given: read_ours(*given, pictures) for name, given in OURS.items()
    }
    contenders[RAPID.title] = read_rapid
    rows = []
    for title, pairs in sets.items():
        pictures, truths = [p for p, _ in pairs], [t for _, t in pairs]
        for name, read in contenders.items():
            texts, seconds = read(pictures)
            rates = [error_rate(truth, text) for truth, text in zip(truths, texts, strict=True)]
            row = f"| {title} | {name} | {np.mean(rates):.4f} | {np.mean([r == 0 for r in rates]):.3f} | {seconds * 1e3:.0f} |"
            rows.append(row)
            print(row, flush=True)
    drawn = [] if given.manuals else list(cards(count))
    for name, read in contenders.items() if drawn else ():
        texts, seconds = read([picture for picture, _ in drawn])
        found = [
            len(text_of_card(fields) & set(text.split())) / len(text_of_card(fields))
            for (_, fields), text in zip(drawn, texts, strict=True)
        ]
        rows.append(f"| cards: words found | {name} | {1 - np.mean(found):.4f} |  | {seconds * 1e3:.0f} |")
        print(rows[-1], flush=True)
    fields = fields_of_cards(count) if drawn else "| | | not run | | |"
    print(fields, flush=True)
    names = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "numpy", "pillow"))
    RESULT.write_text(
        f"""# Document reading

Written by `benchmarks/reading.py` on {date.today()}; {platform.machine()}, {os.cpu_count()} cores shared with other work; Python {platform.python_version()}, {names}. One thread each;
seconds are processor time, decoding included. RapidOCR in an environment of its own ({", ".join(RAPID.requirements)}).

{count} pictures a set. Manual: pieces of six lines of the Guide for Debian Maintainers (debmake-doc 1.17-7, typeset pages at 144 dots an inch) with their text.
Cards: business cards of made-up identities (presidio-evaluator 0.3.2), drawn in four layouts, turned, blurred and with noise; seed 0. Errors are the mean character
error rate over documents; of cards the share of words that stand nowhere in the text that was read.

| set | reader | errors | read exactly | CPU ms a picture |
|---|---|---|---|---|
{chr(10).join(rows)}

## Fields of cards

`page_reader` with PP-OCRv6 small, sides 480 to 960, learned where fields are from other cards than those it answers.

| cards learned from | cards answered | fields right (mean share) | character error rate | cards with all five fields right |
|---|---|---|---|---|
{fields}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
