"""Image classification against named peers on real images: accuracy, fit time, time of an answer, memory, size.

    python benchmarks/images.py                              # all sets: our families, scikit-learn, a plain torch network
    python benchmarks/images.py --data cifar                 # one set: fashion, mnist, cifar, or whole (all of Fashion-MNIST)
    python benchmarks/images.py --data cifar --only hog      # contenders whose name has `hog`
    python benchmarks/images.py --skimage PYTHON             # HOG of scikit-image too; PYTHON has it, and scikit-learn
    python benchmarks/images.py --page                       # only the page

All learn from the same PNG files and answer the same ones, each in processes of its own: one fits and saves, one loads and
answers, so memory and time are its own. Figures are kept in benchmarks/results/images.jsonl, from which the page is written.
Backbones must be fetched before (`rung weights fetch efficientnet_lite0`,
`mobilenet_v2`). Seconds are processor time of one thread. Writes benchmarks/results/images.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from image_data import ImageSplit, cifar, fashion, mnist
from peers import TORCH, Peer, environment

from rung.core import registry
from rung.core.blobs import Blob
from rung.core.model import FitContext
from rung.core.params import make_params
from rung.core.types import Examples
from rung.modalities.images.png import write_png
from rung.runtime.weights.catalogue import CATALOGUE
from rung.runtime.weights.store import weights_folder
from rung.training.images.torch_file import read_tensors

RESULT = Path(__file__).parent / "results" / "images.md"
KEPT = RESULT.with_suffix(".jsonl")
# Name of a set -> how it is read, and how many images are learned from and answered.
SETS = {
    "fashion": (fashion, 10_000, 3_000), "mnist": (mnist, 8_000, 2_000), "cifar": (cifar, 5_000, 2_000),
    "whole": (fashion, 60_000, 10_000),
}  # fmt: skip
# Contenders of a set that is too large for all of them.
FEW = {"whole": ("hog_linear", "scratch_cnn")}
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "majority": ("majority", {}),
    "pixels_linear": ("pixels_linear", {}),
    "hog_linear": ("hog_linear", {}),
    "hog_linear, flat borders": ("hog_linear", {"curved": False}),
    "frozen_backbone (MobileNetV2)": ("frozen_backbone", {"model": "mobilenet_v2"}),
    "frozen_backbone (EfficientNet-Lite0)": ("frozen_backbone", {"model": "efficientnet_lite0"}),
    "scratch_cnn": ("scratch_cnn", {}),
    "finetuned_backbone (MobileNetV2)": ("finetuned_backbone", {"model": "mobilenet_v2"}),
    "finetuned_backbone (EfficientNet-Lite0)": ("finetuned_backbone", {"model": "efficientnet_lite0"}),
}
PEERS = {
    "scikit-learn LogisticRegression on pixels": "LogisticRegression(max_iter=300)",
    "scikit-learn SVC (RBF) on pixels": "SVC()",
    "scikit-image HOG + scikit-learn LogisticRegression": "LogisticRegression(max_iter=300)",
    "plain torch CNN": "Network()",
    "transformers feature pipeline (MobileNetV2, 96 pixels) + LogisticRegression": "",
}
TRANSFORMERS = Peer(
    "transformers",
    "transformers_images",
    ("transformers==5.23.0", "pillow==13.0.0", "scikit-learn==1.9.1", TORCH),
)
# Run by the peer's interpreter: reads an .npz of images, prints figures.
PEER = """
import json, resource, sys, time
import numpy as np
data = np.load(sys.argv[1]); kind = sys.argv[3]
if kind == "network":
    import torch
    from torch import nn
    torch.manual_seed(0); torch.set_num_threads(1)
    class Network:  # the layers and the training of PyTorch's MNIST example, with as many epochs as are given
        def fit(self, images, labels):
            height, width, channels = images.shape[1:]
            self.net = nn.Sequential(nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                nn.Dropout(0.25), nn.Flatten(), nn.Linear(64 * (height // 2 - 2) * (width // 2 - 2), 128), nn.ReLU(),
                nn.Dropout(0.5), nn.Linear(128, 10))
            labels, optimizer = torch.as_tensor(labels), torch.optim.Adadelta(self.net.parameters(), lr=1.0)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.7)
            for epoch in range(14):
                for rows in torch.randperm(len(images)).split(64):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(self.net(self.tensor(images[rows.numpy()])), labels[rows]).backward()
                    optimizer.step()
                schedule.step()
            self.net.eval()
            return self
        def tensor(self, images):
            return torch.as_tensor(images).permute(0, 3, 1, 2).float().div(255).sub(0.5).div(0.3)
        @torch.no_grad()
        def predict(self, images):
            return np.concatenate([self.net(self.tensor(part)).argmax(1).numpy() for part in np.array_split(images, -(-len(images) // 500))])
else:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC
def features(images):
    if kind == "network":
        return images.reshape(*images.shape[:3], -1)
    if kind == "pixels":
        return images.reshape(len(images), -1) / 255.0
    from skimage.feature import hog
    axis = -1 if images.ndim == 4 else None
    return np.array([hog(i, orientations=9, pixels_per_cell=(4, 4), cells_per_block=(2, 2), channel_axis=axis) for i in images])
begun = time.process_time()
model = eval(sys.argv[2]).fit(features(data["train"]), data["y"])
fit = time.process_time() - begun
begun = time.process_time(); said = model.predict(features(data["test"])); batch = time.process_time() - begun
begun = time.process_time()
for image in data["test"][:200]: model.predict(features(image[None]))
single = (time.process_time() - begun) / 200
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print("RESULT" + json.dumps({"accuracy": float((said == data["z"]).mean()), "fit_s": fit, "single_ms": single * 1e3,
      "batch_ms": batch / len(said) * 1e3, "fit_mb": memory}))
"""


def examples(images: np.ndarray, labels: list[str], known: tuple[str, ...]) -> Examples:
    """Return images as examples whose blobs are PNG files in memory."""
    blobs = [Blob.of(write_png(image), f"{number}.png") for number, image in enumerate(images)]
    schema = registry.task("image_classification").schema(["image"], known)
    rows = list(range(1, len(blobs) + 1))
    return Examples(
        schema, {"image": blobs}, labels, [f"{row:016x}" for row in rows], rows, [0.0] * len(rows)
    )


def fit(name: str, split: ImageSplit, folder: Path) -> dict[str, Any]:
    """Fit one of our families on the training images and save it; return its figures.

    A network holds out a tenth of them, as in a build.
    """
    family_name, given = OURS[name]
    family = registry.model(family_name)
    train = examples(split.train, split.train_labels, split.labels)
    held = None
    if family.VALIDATION_SHARE:
        order = np.random.default_rng(0).permutation(len(train)).tolist()
        count = round(len(train) * family.VALIDATION_SHARE)
        train, held = train.take(order[count:]), train.take(order[:count])
    begun = time.process_time()
    effort = 3 if len(train) > 20_000 else 2  # At effort 2 models learn from 20,000 images.
    model = family.fit(train, make_params(family.Params, given), FitContext(effort=effort, validation=held))
    seconds = time.process_time() - begun
    model.save(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"fit_s": seconds, "fit_mb": memory_mb(), "size_mb": size / 1e6, "chosen": dict(model.chosen)}


def answer(name: str, split: ImageSplit, folder: Path) -> dict[str, Any]:
    """Load what `fit` saved and answer the test images; return its figures."""
    test = examples(split.test, split.test_labels, split.labels)
    model = registry.model(OURS[name][0]).load(folder, test.schema)
    begun = time.process_time()
    said = [answer.value for answer in model.predict(test.inputs)]
    batch = (time.process_time() - begun) / len(test)
    single = []
    for row in range(200):
        # Fresh bytes: the last images that a process decoded are kept.
        blob = Blob.of(write_png(split.test[row] ^ 1), "x.png")
        begun = time.process_time()
        model.predict({"image": [blob]})
        single.append(time.process_time() - begun)
    right = float(np.mean([a == b for a, b in zip(said, split.test_labels, strict=True)]))
    return {
        "accuracy": right, "batch_ms": batch * 1e3, "single_ms": float(np.mean(single)) * 1e3, "answer_mb": memory_mb(),
    }  # fmt: skip


def memory_mb() -> float:
    """Return the largest memory that this process had, in 10^6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def in_process(*command: str) -> dict[str, Any]:
    """Run a command with one thread and return the figures it prints."""
    quiet = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "HF_HUB_OFFLINE"), "1"
    )
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | quiet, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.split("RESULT")[1])
    return found


def ours(name: str, data: str) -> dict[str, Any]:
    """Return the figures of one of our families, fitted in one process and answering in another."""
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for step in ("fit", "answer"):
            found |= in_process(sys.executable, __file__, "--step", step, name, folder, data)
        return found


def peer(name: str, python: str, split: ImageSplit) -> dict[str, Any]:
    """Return the figures of a peer, which gets the pixels: it decodes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        number = {label: place for place, label in enumerate(split.labels)}
        path = Path(folder) / "data.npz"
        y, z = ([number[label] for label in labels] for labels in (split.train_labels, split.test_labels))
        np.savez(path, train=split.train, test=split.test, y=np.array(y), z=np.array(z))
        if "transformers" in name:
            return in_process(
                *_transformers(Path(folder)), str(path), str(Path(folder) / "weights.npz"), "96"
            )
        kind = "hog" if "HOG" in name else "network" if "CNN" in name else "pixels"
        return in_process(python, "-c", PEER, str(path), PEERS[name], kind)


def _transformers(folder: Path) -> tuple[str, ...]:
    """Return the command that runs transformers in its environment; its weights are written as plain tensors."""
    write_weights(folder / "weights.npz")
    return str(environment(TRANSFORMERS)), str(Path(__file__).parent / "workers" / "transformers_images.py")


def write_weights(path: Path) -> None:
    """Write torchvision's tensors of MobileNetV2 so that another environment reads them."""
    (file,) = next(item for item in CATALOGUE if item.name == "mobilenet_v2").files
    tensors: dict[str, Any] = dict(read_tensors(weights_folder("mobilenet_v2") / file.target, file.sha256))
    np.savez(path, **tensors)


def row(name: str, found: dict[str, Any]) -> str:
    """Return a row of the table."""
    cells = [
        f"{found['accuracy']:.4f}", f"{found['fit_s']:.0f}", f"{found['single_ms']:.2f}", f"{found['batch_ms']:.2f}",
        f"{found['fit_mb']:.0f}", *(f"{found[key]:.{digits}f}" if key in found else "" for key, digits in (("answer_mb", 0), ("size_mb", 1))),
    ]  # fmt: skip
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Run the contenders that were asked for, keep their figures and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--skimage", metavar="PYTHON")
    parser.add_argument("--data", choices=SETS, action="append")
    parser.add_argument("--only", default="")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        step, name, folder, data = asked.step
        found = {"fit": fit, "answer": answer}[step](name, split_of(data), Path(folder))
        print("RESULT" + json.dumps(found))
        return
    for data in [] if asked.page else asked.data or SETS:
        for name in (*OURS, *PEERS):
            python = asked.skimage if "HOG" in name else sys.executable
            if asked.only not in name or not python or name not in FEW.get(data, (name,)):
                continue
            found = ours(name, data) if name in OURS else peer(name, python, split_of(data))
            keep(data, name, found)
            sys.stderr.write(f"{data}: {row(name, found)} {found.get('chosen', '')}\n")
    RESULT.write_text(page(), encoding="utf-8")


def split_of(data: str) -> ImageSplit:
    """Return a set of `SETS`."""
    read, train, test = SETS[data]
    return read(train, test)


def keep(data: str, name: str, found: dict[str, Any]) -> None:
    """Write a contender's figures, in the place of those that it had."""
    lines = [line for line in kept() if (line["data"], line["name"]) != (data, name)]
    lines.append({"data": data, "name": name, "date": date.today().isoformat(), **found})
    KEPT.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def kept() -> list[dict[str, Any]]:
    """Return the figures of all contenders."""
    return [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.is_file() else []


def page() -> str:
    """Return the page of results."""
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("pillow", "numpy", "scikit-learn", "onnxruntime", "torch")
    )
    head = [
        "contender", "accuracy", "fit CPU s", "ms an image", "ms an image, together", "MB to fit", "MB to answer", "model MB",
    ]  # fmt: skip
    found, order = kept(), [*OURS, *PEERS]
    parts = [
        "# Image classification", "",
        f"Written by `benchmarks/images.py`; {platform.machine()}, {os.cpu_count()} cores shared with other work; "
        f"Python {platform.python_version()}, {versions}.", "",
        "Each contender in processes of its own, on one thread; seconds are processor time. Ours read PNG files and decode them, the "
        "peers get the pixels. `ms an image`: one image a call; `together`: all in one call. MB: the largest memory of the process. "
        "Networks hold out a tenth of the training images to stop and calibrate. Not run on a GPU.", "",
    ]  # fmt: skip
    for data in SETS:
        lines = sorted(
            (line for line in found if line["data"] == data), key=lambda line: order.index(line["name"])
        )
        if lines:
            split = split_of(data)
            parts += [
                f"## {split.title}",
                "",
                f"{split.source}.",
                "",
                f"| {' | '.join(head)} |",
                "|" + "---|" * len(head),
            ]
            parts += [*(row(line["name"], line) for line in lines), ""]
    return "\n".join([*parts, *_backbone(found)])


def _backbone(found: list[dict[str, Any]]) -> list[str]:
    """Return the section on the shipped network in float and in 8 bits, as `image_backbone.py` measured it."""
    lines = [line for line in found if line["data"] == "backbone"]
    if not lines:
        return []
    torch = next(line["ms"] for line in lines if line["name"].startswith("torch"))
    return [
        "## MobileNetV2 in 8 bits", "",
        "`benchmarks/image_backbone.py`: 96 pixels a side, 16 images a call, decoded before; CIFAR-10 as above, a ridge over the features of each; its strength is "
        "the best of four on the test images, for all alike. Static quantisation of the convolutions, weights a channel. 8 bits ship where they give twice torch's "
        "images a second at half a point less at most.", "",
        "| network | images a second | times torch's | accuracy | MB |", "|---|---|---|---|---|",
        *(
            f"| {line['name']} | {1000 / line['ms']:.0f} | {torch / line['ms']:.2f} | "
            + (f"{line['accuracy']:.4f} | {line['size_mb']:.1f} |" if "accuracy" in line else "as float |  |")
            for line in lines
        ), "", _verdict(lines, torch), "",
    ]  # fmt: skip


def _verdict(lines: list[dict[str, Any]], torch: float) -> str:
    """Return which network ships by the rule above, and why."""
    float_ = next(line for line in lines if line["name"] == "onnxruntime, float")
    fit = [
        line["name"]
        for line in lines
        if "int8" in line["name"]
        and 2 * line["ms"] <= torch
        and line["accuracy"] >= float_["accuracy"] - 0.005
    ]
    if fit:
        return f"By that rule {fit[0]} could ship."
    lost = min(float_["accuracy"] - line["accuracy"] for line in lines if "int8" in line["name"])
    return (
        f"Bundles ship float: the better of both 8-bit networks loses {lost * 100:.1f} points, and float itself gives {torch / float_['ms']:.1f} "
        "times torch's images a second."
    )


if __name__ == "__main__":
    main()
