"""Base class of trained image networks: an ONNX graph from pixels to logits, and calibrated probabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.core.errors import RungError
from rung.core.model import DataFacts, FitContext, Model, answers_from
from rung.core.types import Columns, Prediction, Schema
from rung.modalities.images.decode import Preprocessing, pillow
from rung.modalities.images.reading import read_pixels
from rung.runtime.linear.head import Calibration
from rung.runtime.onnx.session import OnnxFile

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
_MODEL, _FACTS = "model.onnx", "network.json"
# Pixels that run together: beyond it activations leave the processor's cache.
_BATCH_PIXELS = 150_000


@dataclass(frozen=True)
class ImageNetworkFile:
    """A network that can answer: the content of its ONNX file, and how images are read for it."""

    content: bytes
    file: OnnxFile
    preprocessing: Preprocessing

    @classmethod
    def of(cls, content: bytes, preprocessing: Preprocessing) -> Self:
        """Return the network of an ONNX file's content; raises RungError when it cannot run."""
        return cls(content, OnnxFile(Path(_MODEL), content, _MODEL), preprocessing)

    def logits(self, images: Sequence[Blob | None]) -> Floats:
        """Return [images, labels]."""
        return self.run(with_channels(read_pixels(images, self.preprocessing)))

    def run(self, pixels: Pixels) -> Floats:
        """Return [images, labels] of uint8 [images, height, width, channels]."""
        size = max(_BATCH_PIXELS // (self.preprocessing.width * self.preprocessing.height), 1)
        found = [
            self.file.run("logits", {"images": pixels[start : start + size]})
            for start in range(0, len(pixels), size)
        ]
        return np.concatenate(found).astype(np.float64) if found else np.zeros((0, 0))


class ImageNetwork(Model):
    """A trained network over images. The logits of a row are the mean of those of its image fields."""

    NEEDS = "train,images"
    PACKAGES: ClassVar[tuple[str, ...]] = ("torch", "sklearn", "scipy", "onnx", "PIL")
    TASKS = frozenset({"image_classification"})
    PLACE = "asked"
    VALIDATION_SHARE = 0.1

    def __init__(
        self,
        labels: tuple[str, ...],
        network: ImageNetworkFile,
        calibration: Calibration,
        chosen: Mapping[str, Any],
    ) -> None:
        self.labels = labels
        self._network = network
        self._calibration = calibration
        self._chosen = dict(chosen)

    @classmethod
    def unavailable(cls, facts: DataFacts, params: Any, context: FitContext) -> RungError | None:
        return cls.missing_packages()

    @property
    def chosen(self) -> Mapping[str, Any]:
        return {name: value for name, value in self._chosen.items() if name != "training"}

    @property
    def training(self) -> Mapping[str, Sequence[float]]:
        found: Mapping[str, Sequence[float]] = self._chosen.get("training", {})
        return found

    def probabilities(self, inputs: Columns) -> Floats:
        fields = [self._network.logits(column) for column in inputs.values()]
        logits = np.mean(fields, axis=0).reshape(-1, len(self.labels))
        return self._calibration.apply(logits)

    def predict(self, inputs: Columns) -> list[Prediction]:
        return answers_from(self.probabilities(inputs), self.labels, type(self).__module__.rsplit(".", 1)[-1])

    def save(self, folder: Path) -> None:
        (folder / _MODEL).write_bytes(self._network.content)
        facts = {
            "preprocessing": self._network.preprocessing.as_dict(),
            "calibration": {"kind": self._calibration.kind, "scale": self._calibration.scale},
            "chosen": self._chosen,
        }
        (folder / _FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        pillow()  # Missing, it is said when a server starts, not at its first request.
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        preprocessing = Preprocessing.from_dict(facts["preprocessing"])
        network = ImageNetworkFile.of((folder / _MODEL).read_bytes(), preprocessing)
        calibration = Calibration(facts["calibration"]["kind"], float(facts["calibration"]["scale"]))
        return cls(schema.labels, network, calibration, facts["chosen"])


def with_channels(pixels: Pixels) -> Pixels:
    """Return uint8 [images, height, width, channels] of images that may be grey, [images, height, width]."""
    return pixels[..., None] if pixels.ndim == 3 else pixels
