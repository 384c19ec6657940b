"""Lose a worker, a node or the driver at random points of a build on a Ray cluster of three nodes: is the bundle the same?

    python benchmarks/scale_out_kills.py [--points 20] [--seed 0]

Three nodes run as separate processes on the loopback interface, each with one processor. A point is a moment between 2 and 85
percent of what the shortest build took; one at which there is nothing to lose is drawn again. A lost node is replaced after the
build, a lost driver begun again with the same command.
The head of the cluster is not lost: Ray without an outside database ends with it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from loopback_cluster import LoopbackCluster

from rung.core.files import read_json

RESULT = Path(__file__).parent / "results" / "scale_out_kills.md"
DATA = Path(__file__).parent.parent / "examples" / "news" / "data"
SPEC = """name: news
task: text_classification
data: {{path: {data}}}
bar: {{metric: accuracy, at_least: 0.9}}
budget: {{effort: 0, threads: 1}}
ladder: [majority, tfidf_linear]
"""
KINDS = ("worker", "node", "driver")
# What is measured stands in these, beside hashes of the others: each build measures anew.
MEASURED_FILES = {"manifest.json", "README.md", "card.md"}
LIMIT_SECONDS = 600


@dataclass(frozen=True)
class Point:
    """What was lost, when, and how the build ended. seconds: of the whole build, its second beginning included."""

    kind: str
    at: float
    lost: str
    seconds: float
    same: bool


def begun(folder: Path, cluster: LoopbackCluster) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "rung.cli",
        "build",
        "product.yaml",
        "--run",
        "run",
        "--engine",
        "ray",
        "--all-rungs",
    ]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=folder, env=cluster.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def ended_well(build: subprocess.Popen[bytes], folder: Path) -> None:
    if build.wait(timeout=LIMIT_SECONDS):
        raise RuntimeError(
            f"the build ended with code {build.returncode}: {(folder / 'log').read_text()[-3000:]}"
        )


def product(home: Path, name: str) -> Path:
    """Return a folder of its own: looks at one set of rows share an error budget."""
    (home / name).mkdir()
    (home / name / "product.yaml").write_text(SPEC.format(data=DATA), encoding="utf-8")
    return home / name


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of each file of the bundle, and what its report says of the winner."""
    bundle = folder / "run" / "bundle"
    if not (folder / "run" / "report.json").is_file():
        return {}
    found = {
        str(path.relative_to(bundle)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and path.name not in MEASURED_FILES
    }
    report = read_json(folder / "run" / "report.json")
    return found | {
        "version": read_json(bundle / "manifest.json")["version"], "winner": report["winner"],
        "certificate": str(report["certificate"]),
    }  # fmt: skip


def lose(kind: str, cluster: LoopbackCluster, build: subprocess.Popen[bytes], draw: random.Random) -> str:
    """Lose one and return which; "" where there is nothing to lose: the build has ended, or no worker has begun."""
    if build.poll() is not None:
        return ""
    if kind == "worker":
        title = cluster.kill_worker(draw)
        return f"`{title}`" if title else ""
    if kind == "node":
        name = draw.choice([name for name in cluster.nodes if name != "head"])
        cluster.kill_node(name)
        return name
    build.kill()
    build.wait()
    return "`rung build`"


def point(
    kind: str, share: float, plain: float, folder: Path, cluster: LoopbackCluster, draw: random.Random
) -> Point:
    start = time.monotonic()
    build = begun(folder, cluster)
    time.sleep(share * plain)
    lost = lose(kind, cluster, build, draw)
    if kind == "driver" and build.returncode == -9:
        build = begun(folder, cluster)
    try:
        ended_well(build, folder)
    except RuntimeError as error:  # Its bundle is missed below.
        print(error, flush=True)
    seconds = time.monotonic() - start
    while len(cluster.nodes) < 3:
        cluster.add_node()
    return Point(kind, share * plain, lost, seconds, same=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw, found = random.Random(asked.seed), []
    with tempfile.TemporaryDirectory() as home, LoopbackCluster(2) as cluster:
        for name in ("warm", "plain"):  # The first one also imports what the second has in memory.
            folder, start = product(Path(home), name), time.monotonic()
            ended_well(begun(folder, cluster), folder)
            plain = time.monotonic() - start
        wanted = hashes(Path(home) / "plain")
        assert wanted == hashes(Path(home) / "warm")
        number = 0
        while len(found) < asked.points and number < 3 * asked.points:
            kind, share, number = KINDS[len(found) % 3], draw.uniform(0.02, 0.85), number + 1
            folder = product(Path(home), f"point-{number}")
            one = point(kind, share, plain, folder, cluster, draw)
            same = hashes(folder) == wanted
            print(number, one, same, flush=True)
            plain = min(plain, one.seconds) if same else plain  # The machine was busier before.
            if one.lost or not same:  # A moment at which there was nothing to lose is drawn again.
                found.append(replace(one, same=same))
            RESULT.write_text(page(found, plain, asked, len(wanted)), encoding="utf-8")


def page(found: list[Point], plain: float, asked: argparse.Namespace, count: int) -> str:
    same = sum(one.same for one in found)
    lines = [
        "# A worker, a node, the driver lost at random points of a build on Ray\n",
        f"`python benchmarks/scale_out_kills.py --points {asked.points} --seed {asked.seed}`\n",
        f"**{same} of {len(found)} builds ended with the bundle of the undisturbed one** (hashes of its files without what is measured, "
        f"its version, winner and certificate: {count} values). The shortest build took {plain:.1f} s. Ray {version('ray')}: a head and two nodes, separate processes "
        f"on one machine with one processor each ({platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}), Python "
        f"{platform.python_version()}. BBC news (examples/news), `majority` and `tfidf_linear`, effort 0. Nodes and workers die by "
        "SIGKILL; the head of the cluster is not lost.\n",
        "| # | lost | after, s | which | whole build, s | same bundle |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {n} | {p.kind} | {p.at:.1f} | {p.lost} | {p.seconds:.1f} | {'yes' if p.same else '**no**'} |"
        for n, p in enumerate(found, 1)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
