"""The MobileNetV2 that bundles ship, in float and in 8 bits, beside torch's: images a second and what accuracy is left.

    python benchmarks/image_backbone.py

Onnxruntime's static quantisation: convolutions in QDQ form, weights a channel; activations calibrated on 192 training images, by their range or
by a percentile. Each network's features of CIFAR-10 get a ridge of their own. Times are processor time of one thread, the best of several
batches of 16 images of 96 pixels a side. Figures go to benchmarks/results/images.jsonl; `python benchmarks/images.py --page` writes the page.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from image_data import cifar
from images import TRANSFORMERS, keep, write_weights
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from peers import environment
from PIL import Image
from sklearn.linear_model import RidgeClassifier

from rung.modalities.images.backbone import Backbone
from rung.training.images.backbone_export import backbone_folder

NAME, SIDE, BATCH, REPEATS = "mobilenet_v2", 96, 16, 20
CALIBRATED_ON = 192
STRENGTHS = (0.1, 0.3, 1.0, 3.0)
METHODS = {"by range": CalibrationMethod.MinMax, "by percentile": CalibrationMethod.Percentile}
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class Calibration(CalibrationDataReader):
    """Hands out images in batches."""

    def __init__(self, images: Pixels) -> None:
        self._batches = iter([images[at : at + BATCH] for at in range(0, len(images), BATCH)])

    def get_next(self) -> Any:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


def session(path: Path) -> onnxruntime.InferenceSession:
    """Return a file that runs on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def features(network: onnxruntime.InferenceSession, images: Pixels, widths: tuple[int, ...]) -> Floats:
    """Return the features of images, each depth of the network of length 1."""
    found = [
        network.run(["features"], {"images": images[at : at + BATCH]})[0]
        for at in range(0, len(images), BATCH)
    ]
    parts = np.split(np.concatenate(found), np.cumsum(widths)[:-1], axis=1)
    return np.hstack(
        [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in parts]
    )


def milliseconds(network: onnxruntime.InferenceSession, batch: Pixels) -> float:
    """Return the processor time of an image, in the best of several batches."""
    seconds = []
    for _ in range(REPEATS):
        begun = time.process_time()
        network.run(["features"], {"images": batch})
        seconds.append(time.process_time() - begun)
    return min(seconds) / len(batch) * 1e3


def torch_milliseconds(batch: Pixels, folder: Path) -> float:
    """Return the processor time of an image in transformers' MobileNetV2 with the same weights."""
    np.save(folder / "batch.npy", batch)
    write_weights(folder / "weights.npz")
    worker = Path(__file__).parent / "workers" / "transformers_images.py"
    command = [environment(TRANSFORMERS), worker, "--bare", folder / "batch.npy", folder / "weights.npz"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.split("RESULT")[1])["ms"])


def main() -> None:
    """Measure all, and keep the figures."""
    split, backbone = cifar(5_000, 2_000), Backbone.open(backbone_folder(NAME))
    train, test = (
        np.stack(
            [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in part]
        )
        for part in (split.train, split.test)
    )
    plain = backbone.folder / "model.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        quant_pre_process(plain, folder / "pre.onnx", skip_symbolic_shape=True)
        files = {"onnxruntime, float": plain}
        for name, method in METHODS.items():
            path = folder / f"{method.name}.onnx"
            quantize_static(
                folder / "pre.onnx", path, Calibration(train[:CALIBRATED_ON]), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=method,
                op_types_to_quantize=["Conv"],
            )  # fmt: skip
            files[f"onnxruntime, int8, calibrated {name}"] = path
        keep("backbone", "torch (transformers), float", {"ms": torch_milliseconds(train[:BATCH], folder)})
        for name, path in files.items():
            network = session(path)
            learn, answer = (features(network, part, backbone.config.widths) for part in (train, test))
            heads = [RidgeClassifier(alpha=alpha).fit(learn, split.train_labels) for alpha in STRENGTHS]
            right = max(float(head.score(answer, split.test_labels)) for head in heads)
            found = {
                "ms": milliseconds(network, train[:BATCH]),
                "accuracy": right,
                "size_mb": path.stat().st_size / 1e6,
            }
            keep("backbone", name, found)
            print(name, found, flush=True)


if __name__ == "__main__":
    main()
