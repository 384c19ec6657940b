"""A folder of many small images: read, checked, split, fitted on frozen features; killed on the way and resumed.

    python benchmarks/many_images.py                   # 60,000 images of Fashion-MNIST
    python benchmarks/many_images.py --count 20000

Two builds of the same folder, each in a process of its own on one thread: one runs through, one is killed (SIGKILL) while it computes
features and is started again. Memory is the most that the process had (VmHWM); seconds are processor time. What the second start has not
to do again shows in its processor time. Needs `rung weights fetch mobilenet_v2`. Writes benchmarks/results/many_images.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from image_data import fashion

from rung.modalities.images.png import write_png
from rung.runtime.weights.store import cache_folder

RESULT = Path(__file__).parent / "results" / "many_images.md"
SPEC = """name: garments
task: image_classification
data: {path: data}
bar: {metric: accuracy, at_least: 0.8}
budget: {effort: 1, threads: 1}
ladder: [majority, {model: frozen_backbone, params: {model: mobilenet_v2, side: 96, curved: false, head: ridge}}]
"""
# A build is killed when its cache of features has grown to this share of the whole.
KILL_AT = 0.5
_POLL_S = 0.5


@dataclass
class Build:
    """What a build took. left: the lines in which it said how much time is left."""

    cpu_s: float
    wall_s: float
    most_mb: float
    left: int
    killed: bool


def write_folder(folder: Path, count: int) -> None:
    """Write a folder a class with a PNG an image."""
    split = fashion(count, 1)
    for number, (image, label) in enumerate(zip(split.train, split.train_labels, strict=True)):
        path = folder / label / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write_png(image))


def own_cache(folder: Path) -> Path:
    """Return a cache with the fetched weights, and no features."""
    folder.mkdir()
    for name in ("weights", "backbones"):
        (cache_folder() / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(cache_folder() / name)
    return folder


def build(folder: Path, run: str, cache: Path, kill_at_bytes: int | None) -> Build:
    """Run `rung build` with a cache of its own; kill it when that holds so many bytes of features."""
    command = [str(Path(sys.executable).with_name("rung")), "build", "product.yaml", "--run", run]
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RUNG_CACHE": str(cache)}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with (folder / f"{run.replace('/', '-')}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=os.environ | quiet)
        most, killed = 0.0, False
        while process.poll() is None:
            most = max(most, _memory_mb(process.pid))
            if kill_at_bytes is not None and features_bytes(cache) >= kill_at_bytes:
                process.send_signal(signal.SIGKILL)
                killed = True
                break
            time.sleep(_POLL_S)
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    text = (folder / f"{run.replace('/', '-')}.log").read_text(errors="replace")
    left = len(re.findall(r"left|remaining", text))
    if process.returncode and not killed:
        sys.exit(text[-3000:])
    return Build(cpu, time.perf_counter() - begun, most, left, killed)


def features_bytes(cache: Path) -> int:
    """Return the bytes of features that builds have kept below a cache folder."""
    files = (cache / "embeddings").glob("*.emb") if (cache / "embeddings").is_dir() else ()
    return sum(path.stat().st_size for path in files if not path.name.startswith("pixels"))


def _memory_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+)", text)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def main() -> None:
    """Build through, then kill and resume, and write the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--count", type=int, default=60_000)
    count = asked.parse_args().count
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_folder(folder / "data", count)
        (folder / "product.yaml").write_text(SPEC)
        caches = [own_cache(folder / name) for name in ("cache-whole", "cache-killed")]
        whole = build(folder, "runs/whole", caches[0], None)
        size = features_bytes(caches[0])
        rows.append(_row("run through", whole))
        print(rows[-1], size, flush=True)
        report = json.loads((folder / "runs" / "whole" / "report.json").read_text())
        trial = next(t for t in report["trials"] if t["rung"] == "frozen_backbone")
        half = int(size * KILL_AT)
        first = build(folder, "runs/killed", caches[1], half)
        rows.append(_row("killed on the way", first))
        print(rows[-1], flush=True)
        second = build(folder, "runs/killed", caches[1], None)
        rows.append(_row("started again", second))
        print(rows[-1], flush=True)
        again = json.loads((folder / "runs" / "killed" / "report.json").read_text())
        same = trial["scores"] == next(t for t in again["trials"] if t["rung"] == "frozen_backbone")["scores"]
    RESULT.write_text(
        f"""# A folder of {count:,} images

Written by `benchmarks/many_images.py` on {date.today()}; {platform.machine()}, {os.cpu_count()} cores shared with other work; Python {platform.python_version()}. One thread.

The first {count:,} training images of Fashion-MNIST as PNG files, a folder a class; `majority` and `frozen_backbone` (MobileNetV2 at 96 pixels, ridge). Data: {report["data"]["train"]:,} train,
{report["data"]["certification"]:,} certify; accuracy {trial["scores"]["accuracy"]:.4f} on held-out training rows. Processor seconds of the build and of what it starts; MB: the most memory of the build's process.
The second build was killed (SIGKILL) when half of the features were there; scores after the second start equal those of the build that ran through: {"yes" if same else "no"}.

| build | CPU s | wall s | MB | times that it said what is left |
|---|---|---|---|---|
{chr(10).join(rows)}

The killed build and its second start took {first.cpu_s + second.cpu_s:.0f} CPU s together, {(first.cpu_s + second.cpu_s) / whole.cpu_s:.2f} times the build that ran through.
""",
        encoding="utf-8",
    )


def _row(what: str, found: Build) -> str:
    return f"| {what} | {found.cpu_s:.0f} | {found.wall_s:.0f} | {found.most_mb:.0f} | {found.left} |"


if __name__ == "__main__":
    main()
