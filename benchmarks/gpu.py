"""Networks on a GPU: throughput and accuracy of training, in at most five minutes; the CPU in the same run for comparison.

    python benchmarks/gpu.py                 # needs a GPU that torch can use; writes benchmarks/results/gpu.md
    python benchmarks/gpu.py --device cpu    # tries the script without one: prints, writes nothing

The weights must be fetched before: `rung weights fetch wordllama minilm mobilenet_v2`. Each contender is fitted once on the same
rows by the same call as in a build, on the device and, with a fifth of the rows, on one thread of the CPU. What is saved answers on
the CPU: a bundle needs no GPU.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from image_data import cifar
from images import examples as image_examples
from learning import examples as text_examples
from sets import ten_of_a_hundred

from rung.building.fit import split_validation
from rung.core import registry
from rung.core.device import resolve_device
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples

RESULT = Path(__file__).parent / "results" / "gpu.md"
CONTENDERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mlp, ten newsgroups": ("mlp", "text", {"refit": False}),
    "transformer, ten newsgroups": ("transformer", "text", {"refit": False, "epochs": 10}),
    "finetuned_encoder (MiniLM), ten newsgroups": ("finetuned_encoder", "text", {"weights": "minilm"}),
    "scratch_cnn, CIFAR-10": ("scratch_cnn", "images", {"flip": True, "refit": False}),
    "finetuned_backbone (MobileNetV2), CIFAR-10": ("finetuned_backbone", "images", {"model": "mobilenet_v2", "flip": True}),
}  # fmt: skip
# On the CPU this share of the rows is trained on: only its rate is compared.
CPU_SHARE = 5


@dataclass(frozen=True)
class Figures:
    """What one fit came to. rows_per_s: training rows a second, over all epochs, import and export included."""

    accuracy: float
    seconds: float
    rows_per_s: float
    peak_mb: float


def text_rows() -> tuple[Examples, Examples]:
    """Return the rows to train and to test on."""
    split = ten_of_a_hundred()
    return text_examples(split.train_texts, split.train_labels), text_examples(
        split.test_texts, split.test_labels
    )


def image_rows() -> tuple[Examples, Examples]:
    """Return the images to train and to test on."""
    split = cifar(10_000, 2_000)
    return (
        image_examples(split.train, split.train_labels, split.labels),
        image_examples(split.test, split.test_labels, split.labels),
    )


ROWS: dict[str, Callable[[], tuple[Examples, Examples]]] = {"text": text_rows, "images": image_rows}


def measure(name: str, device: str, share: int) -> Figures:
    """Return the figures of a contender on a device, trained on one of `share` parts of the rows."""
    model, kind, given = CONTENDERS[name]
    family = registry.model(model)
    train, test = ROWS[kind]()
    train = train.take(list(range(0, len(train), share)))
    params = make_params(family.Params, given)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as scratch:
        context = FitContext(
            threads=1, device=resolve_device("cuda" if device == "cuda" else "cpu"), scratch=Path(scratch)
        )
        learn, context = split_validation(train, context, family.VALIDATION_SHARE)
        begun = time.perf_counter()
        fitted = family.fit(learn, params, context)
        seconds = time.perf_counter() - begun
        folder = Path(scratch) / "model"
        folder.mkdir()
        fitted.save(folder)
        answers = family.load(folder, train.schema).predict(test.inputs)
    right = float(np.mean([a.value == truth for a, truth in zip(answers, test.targets, strict=True)]))
    peak = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else 0.0
    return Figures(right, seconds, len(learn) * len(fitted.training["loss"]) / seconds, peak)


def page(found: dict[str, tuple[Figures, Figures]]) -> str:
    """Return gpu.md."""
    lines = [
        "# Networks on a GPU", "",
        f"Written by `benchmarks/gpu.py` on {date.today().isoformat()}: {torch.cuda.get_device_name()}, torch {version('torch')}, CUDA "
        f"{torch.version.cuda}, Python {platform.python_version()}, {platform.processor() or platform.machine()}. Rows a second: training rows "
        f"over all epochs by the seconds of the whole fit, export included; the CPU trains one row of {CPU_SHARE} on one thread.", "",
        "| contender | accuracy | fit s | rows/s | GPU MB | rows/s on the CPU | GPU to CPU |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, (gpu, cpu) in found.items():
        lines.append(
            f"| {name} | {gpu.accuracy:.4f} | {gpu.seconds:.0f} | {gpu.rows_per_s:,.0f} | {gpu.peak_mb:,.0f} | {cpu.rows_per_s:,.0f} | "
            f"{gpu.rows_per_s / cpu.rows_per_s:.1f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure every contender and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no GPU here; `--device cpu` tries the script without one")
    found: dict[str, tuple[Figures, Figures]] = {}
    for name in CONTENDERS:
        if asked.only not in name:
            continue
        cpu = measure(name, "cpu", CPU_SHARE)
        print(f"{name}, CPU: {cpu}", flush=True)
        if asked.device == "cuda":
            found[name] = measure(name, "cuda", 1), cpu
            print(f"{name}, GPU: {found[name][0]}", flush=True)
    if found and not asked.only:
        RESULT.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
