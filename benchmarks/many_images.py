"""A folder of many small images: read, checked, split, fitted on frozen features; killed twice on the way and resumed.

    python benchmarks/many_images.py                   # 60,000 images of Fashion-MNIST
    python benchmarks/many_images.py --count 20000

Two builds of the same folder, each in a process of its own on one thread: one runs through, one is killed (SIGKILL) while it reads the
folder, started again, killed while it computes features, and started again. Memory is the most that the process had (VmHWM); seconds are
processor time. Every image that is decoded is counted, by its content and what for. Needs `rung weights fetch mobilenet_v2`. Writes
benchmarks/results/many_images.md.
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
from importlib.metadata import version
from pathlib import Path
from typing import Any

from image_data import fashion

from rung.modalities.images.png import write_png
from rung.runtime.embeddings.settings import embedding_cache_settings
from rung.runtime.weights.store import cache_folder

RESULT = Path(__file__).parent / "results" / "many_images.md"
SPEC = """name: garments
task: image_classification
data: {path: data}
bar: {metric: accuracy, at_least: 0.8}
budget: {effort: 1, threads: 1}
ladder: [majority, {model: frozen_backbone, params: {model: mobilenet_v2, side: 96, most_rows: 60000, curved: false, head: ridge}}]
"""
# A build is killed when what it keeps of its images has grown to this share of the whole.
KILL_AT = 0.5
# Files of the cache -> when they grow: while the folder is read, and while features are computed.
LOOKS, FEATURES = "looks-*.emb", "[0-9a-f]*.emb"
_POLL_S = 0.5


@dataclass
class Build:
    """What a build took. decoded: what for and which content of each image that it decoded, in order. left: lines that said how long it still takes."""

    cpu_s: float
    wall_s: float
    most_mb: float
    decoded: list[str]
    left: int


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


def build(folder: Path, run: str, cache: Path, kill_at: tuple[str, int] | None = None) -> Build:
    """Run `rung build` with a cache of its own; kill it when files of that name there hold so many bytes."""
    log, decoded = folder / "build.log", folder / "decoded.txt"
    log.write_text("")
    decoded.write_text("")
    command = [sys.executable, __file__, "--counted", str(decoded), "build", "product.yaml", "--run", run]
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RUNG_CACHE": str(cache)}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env=os.environ | quiet)
        most, killed = 0.0, False
        while process.poll() is None:
            most = max(most, _memory_mb(process.pid))
            if kill_at is not None and kept_bytes(cache, kill_at[0]) >= kill_at[1]:
                process.send_signal(signal.SIGKILL)
                killed = True
                break
            time.sleep(_POLL_S)
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    text = log.read_text(errors="replace")
    if killed != (kill_at is not None) or (process.returncode and not killed):
        sys.exit(text[-3000:] or "the build ended before it was to be killed")
    left = len(re.findall(r"about .* left", text))
    return Build(cpu, time.perf_counter() - begun, most, decoded.read_text().split(), left)


def kept_bytes(cache: Path, name: str) -> int:
    """Return the bytes that builds have kept in files of a name below a cache folder."""
    folder = cache / "embeddings"
    return sum(path.stat().st_size for path in folder.glob(name)) if folder.is_dir() else 0


def counted(log: str, command: list[str]) -> None:
    """Run a command of rung in this process and note every image that it decodes: to check it, or at a size for a rung."""
    from rung.cli import main as rung
    from rung.modalities.images import looks, reading

    plain_look, plain_decode, out = looks._look, reading._decode, os.open(log, os.O_WRONLY | os.O_APPEND)

    def look(blob: Any) -> Any:
        os.write(out, f"checked:{blob.sha256}\n".encode())
        return plain_look(blob)

    def decode(images: Any, preprocessing: Any, threads: int) -> Any:
        # Answers of the packed model are measured without what a build keeps; those of a build are kept.
        if embedding_cache_settings() is not None:
            at = json.dumps(preprocessing.as_dict(), separators=(",", ":"))
            os.write(out, "".join(f"{at}:{image.sha256}\n" for image in images if image).encode())
        return plain_decode(images, preprocessing, threads)

    looks._look, reading._decode = look, decode
    sys.argv = ["rung", *command]
    rung()


def _memory_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+)", text)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def main() -> None:
    """Build through, then kill and resume, and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--count", type=int, default=60_000)
    asked.add_argument("--counted", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.counted:
        counted(given.counted[0], given.counted[1:])
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_folder(folder / "data", given.count)
        (folder / "product.yaml").write_text(SPEC)
        caches = [own_cache(folder / name) for name in ("cache-whole", "cache-killed")]
        whole = build(folder, "runs/whole", caches[0])
        print(_row("run through", whole), flush=True)
        builds = {"run through": whole}
        for what, name in (
            ("killed while it read the folder", LOOKS),
            ("killed while it computed features", FEATURES),
        ):
            builds[what] = build(
                folder, "runs/killed", caches[1], (name, int(kept_bytes(caches[0], name) * KILL_AT))
            )
            print(_row(what, builds[what]), flush=True)
        builds["started again"] = build(folder, "runs/killed", caches[1])
        print(_row("started again", builds["started again"]), flush=True)
        reports = [
            json.loads((folder / "runs" / run / "report.json").read_text()) for run in ("whole", "killed")
        ]
    RESULT.write_text(page(given.count, builds, reports), encoding="utf-8")


def page(count: int, builds: dict[str, Build], reports: list[dict[str, Any]]) -> str:
    """Return the page of results."""
    report = reports[0]
    scores = [next(t for t in one["trials"] if t["rung"] == "frozen_backbone")["scores"] for one in reports]
    whole, *parts = builds.values()
    twice, before = _twice(whole.decoded), len(whole.decoded)
    again = [one for part in parts for one in part.decoded]
    cpu = sum(part.cpu_s for part in parts)
    lines = "\n".join(_row(what, found) for what, found in builds.items())
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("pillow", "numpy", "scikit-learn", "onnxruntime")
    )
    return f"""# A folder of {count:,} images

Written by `benchmarks/many_images.py` on {date.today()}; {platform.machine()}, {os.cpu_count()} cores shared with other work; Python {platform.python_version()}, {versions}. One thread.

The first {count:,} training images of Fashion-MNIST as PNG files, a folder a class; `majority` and `frozen_backbone` (MobileNetV2 at 96 pixels, ridge, all training rows). Data: {report["data"]["train"]:,} train,
{report["data"]["certification"]:,} certify; accuracy {scores[0]["accuracy"]:.4f} on held-out training rows. CPU s: of the build and of the processes that it starts; MB: the most memory of the build's process;
decoded: images decoded, to check them and for a rung; left: how often a piped build said how long it still takes.
The second build was killed (SIGKILL) twice, each time when half of what it keeps was there. Its scores equal those of the build that ran through: {"yes" if scores[0] == scores[1] else "no"}.

| build | CPU s | wall s | MB | decoded | left |
|---|---|---|---|---|---|
{lines}

What a build decodes it keeps: an image to check it, and at each size that a rung reads. The build that ran through decoded {before:,} images, {twice:,} of them twice for the same end;
the killed build and its two starts {len(again):,}, {_twice(again):,} of them twice: those that it had in hand when it was killed. They took {cpu:.0f} CPU s together, {cpu / whole.cpu_s:.2f} times the build that ran through.
"""


def _twice(decoded: list[str]) -> int:
    return len(decoded) - len(set(decoded))


def _row(what: str, found: Build) -> str:
    return f"| {what} | {found.cpu_s:.0f} | {found.wall_s:.0f} | {found.most_mb:.0f} | {len(found.decoded):,} | {found.left} |"


if __name__ == "__main__":
    main()
