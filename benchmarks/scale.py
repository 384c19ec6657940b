"""A million short texts from a file to a packed bundle: seconds and peak memory, rung by rung.

    python benchmarks/scale.py                 # rung 1 on all rows, the blend on a sample of them
    python benchmarks/scale.py --rows 100000

Lines of Tang and Song poems, labelled by dynasty: real texts of one line each, traditional Chinese. Each rung is
built in a process of its own, whose peak memory is read when it ends; its children, which time the bundle, count
beside it. Writes benchmarks/results/scale.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from sets import CACHE

RUNGS = ("tfidf_linear", "blend")
RESULTS = Path(__file__).parent / "results" / "scale.md"
URL = "https://registry.npmjs.org/chinese-poetry/-/chinese-poetry-2.0.1.tgz"
SHA256 = "25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86"


def archive() -> Path:
    """Return npm chinese-poetry 2.0.1 (MIT), fetched once and checked."""
    path = CACHE / "chinese-poetry-2.0.1.tgz"
    if not path.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        urllib.request.urlretrieve(URL, path)
    digest = sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{path.name} has SHA-256 {digest}, not {SHA256}")
    return path


def lines() -> Iterator[tuple[str, str]]:
    """Yield (line, dynasty), the files of both dynasties in turn."""
    with tarfile.open(archive()) as source:
        names = [name for name in source.getnames() if "/quantangshi/poet." in name]
        files: dict[str, list[str]] = {"tang": [], "song": []}
        for name in sorted(names):
            files[name.split("/poet.")[1].split(".")[0]].append(name)
        for pair in zip(*files.values(), strict=False):
            for dynasty, name in zip(files, pair, strict=True):
                member = source.extractfile(name)
                poems = json.load(member) if member else []
                yield from ((line, dynasty) for poem in poems for line in poem["paragraphs"] if len(line) > 4)
        for name in files["song"][len(files["tang"]) :]:
            member = source.extractfile(name)
            poems = json.load(member) if member else []
            yield from ((line, "song") for poem in poems for line in poem["paragraphs"] if len(line) > 4)


def build_one(rung_name: str, path: Path) -> None:
    """Build one rung and print its figures as JSON: run in a process of its own."""
    import rung
    from rung.core.spec.product import Located, Product

    spec = {
        "name": "scale", "task": "text_classification", "data": {"path": str(path)},
        "bar": {"metric": "accuracy", "at_least": 1.0}, "certify": {"fraction": 0.0},
        "ladder": [rung_name], "budget": {"effort": 2, "threads": 2},
    }  # fmt: skip
    begun = time.perf_counter()
    done = rung.build(
        Located(Product.model_validate(spec), path.parent), run=path.parent / f"run-{rung_name}"
    )
    seconds = time.perf_counter() - begun
    trial = next(t for t in done.report["trials"] if t["rung"] == rung_name)
    peak = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(
        json.dumps(
            {
                "rung": rung_name,
                "rows": done.report["data"]["train"],
                "seconds": seconds,
                "accuracy": trial["scores"]["accuracy"],
                "learned": trial["chosen"].get("rows", done.report["data"]["train"]),
                "fit": trial["fit_seconds"],
                "gb": max(peak) / 1e6,
                "mb": trial["size_mb"],
            }  # fmt: skip
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one", nargs=2, metavar=("RUNG", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        build_one(asked.one[0], Path(asked.one[1]))
        return
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "lines.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for number, line in enumerate(lines()):
                if number == asked.rows:
                    break
                writer.writerow(line)
        megabytes = path.stat().st_size / 1e6
        for name in RUNGS:
            command = [sys.executable, __file__, "--one", name, str(path)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = json.loads(out.splitlines()[-1])
            rows.append(
                f"| {name} | {found['rows']:,} | {found['learned']:,} | {found['accuracy']:.4f} | {found['fit']:.0f} "
                f"| {found['seconds']:.0f} | {found['gb']:.2f} | {found['mb']:.1f} |"
            )
            print(rows[-1], flush=True)
    packages = ", ".join(f"{p} {version(p)}" for p in ("rung", "scikit-learn", "scipy", "numpy"))
    head = (
        f"# A million short texts\n\nWritten by `python benchmarks/scale.py`. {time.strftime('%Y-%m-%d')}, Python "
        f"{platform.python_version()}, {packages}; {platform.machine()}, {os.cpu_count()} cores, two threads, seed 0, effort 2. "
        f"{asked.rows:,} lines of Tang and Song poems in {megabytes:.0f} MB of CSV (npm chinese-poetry 2.0.1, MIT), labelled by "
        "dynasty; repeated and contradictory lines are left out. Accuracy is estimated on held-out training rows. Peak memory is "
        "the building process's or the largest of its children's, whichever is more.\n\n"
        "| rung | rows that train | rows its head learned from | accuracy | fit s | file to bundle s | peak GB | bundle MB |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    RESULTS.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    print(f"wrote {RESULTS.name}")


if __name__ == "__main__":
    main()
