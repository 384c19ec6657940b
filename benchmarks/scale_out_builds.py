"""Measure whole builds: one worker against two, and Ray with one worker against this machine's own engine.

    python examples/fetch.py news
    python benchmarks/scale_out_builds.py [--ray]

Each build is of BBC news with `tfidf_linear` at effort 2 and a thread a fit, in a folder of its own; the bundles must be the same.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import rung

HERE = Path(__file__).parent
NEWS, RESULT = HERE.parent / "examples" / "news" / "data", HERE / "results" / "scale_out_builds.md"
SPEC = """name: news
task: text_classification
data: {{path: {data}, input: text, target: label}}
bar: {{metric: accuracy, at_least: 0.9}}
budget: {{effort: 2, threads: 1}}
ladder: [tfidf_linear]
"""


def built(engine: str, workers: int) -> tuple[float, str]:
    """Return the seconds of a build, and the version of its bundle."""
    with tempfile.TemporaryDirectory() as folder:
        product = Path(folder) / "product.yaml"
        product.write_text(SPEC.format(data=NEWS), encoding="utf-8")
        begun = time.perf_counter()
        done = rung.build(product, run=Path(folder) / "run", engine=engine, workers=workers)
        seconds = time.perf_counter() - begun
        return seconds, rung.load(done.bundle).manifest.version


def main() -> None:
    """Measure, by turns, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ray", action="store_true", help="also on Ray, started for it")
    parser.add_argument("--times", type=int, default=2, help="builds of each kind, by turns")
    asked = parser.parse_args()
    ways = [("local", 1), ("local", 2), *([("ray", 1)] if asked.ray else [])]
    load = os.getloadavg()[0]
    found: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    versions = set()
    for _ in range(asked.times):
        for way in ways:
            seconds, version = built(*way)
            found[way].append(seconds)
            versions.add(version)
            print(way, f"{seconds:.1f}", flush=True)
    assert len(versions) == 1, versions
    one = min(found["local", 1])
    lines = [
        "# Builds\n", f"`python benchmarks/scale_out_builds.py{' --ray' if asked.ray else ''} --times {asked.times}`\n",
        f"BBC news, `tfidf_linear`, effort 2, a thread a fit; {platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before, Python "
        f"{platform.python_version()}. Reading, certifying and packing are one job each and counted; every build made the same bundle.\n",
        "| engine | workers | seconds | least, against one worker |", "|---|---|---|---|",
    ]  # fmt: skip
    for (engine, workers), seconds in found.items():
        shown = ", ".join(f"{s:.1f}" for s in seconds)
        lines.append(f"| {engine} | {workers} | {shown} | {min(seconds) / one:.2f} |")
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
