"""Base class of trained image networks: an ONNX graph from pixels to logits, and calibrated probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.core.model import Reason
from rung.core.types import Columns, Schema
from rung.modalities.images.decode import Preprocessing, pillow
from rung.modalities.images.occlusion import explain_images
from rung.modalities.images.reading import images_at_once, read_pixels
from rung.runtime.linear.head import Calibration
from rung.runtime.onnx.session import OnnxFile
from rung.runtime.onnx.trained_network import MODEL_FILE, TrainedNetwork, read_facts

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageNetworkFile:
    """A network that can answer: the content of its ONNX file, and how images are read for it."""

    content: bytes
    file: OnnxFile
    preprocessing: Preprocessing

    @classmethod
    def of(cls, content: bytes, preprocessing: Preprocessing) -> Self:
        """Return the network of an ONNX file's content; raises RungError when it cannot run."""
        return cls(content, OnnxFile(Path(MODEL_FILE), content, MODEL_FILE), preprocessing)

    def logits(self, images: Sequence[Blob | None]) -> Floats:
        """Return [images, labels]."""
        return self.run(with_channels(read_pixels(images, self.preprocessing)))

    def run(self, pixels: Pixels) -> Floats:
        """Return [images, labels] of uint8 [images, height, width, channels]."""
        size = images_at_once(self.preprocessing.width, self.preprocessing.height)
        found = [
            self.file.run("logits", {"images": pixels[start : start + size]})
            for start in range(0, len(pixels), size)
        ]
        return np.concatenate(found).astype(np.float64) if found else np.zeros((0, 0))


class ImageNetwork(TrainedNetwork):
    """A trained network over images. The logits of a row are the mean of those of its image fields."""

    NEEDS = "train,images"
    PACKAGES = (*TrainedNetwork.PACKAGES, "PIL")
    TASKS = frozenset({"image_classification"})
    VALIDATION_SHARE = 0.1

    def __init__(
        self,
        labels: tuple[str, ...],
        network: ImageNetworkFile,
        calibration: Calibration,
        chosen: Mapping[str, Any],
    ) -> None:
        super().__init__(labels, calibration, chosen)
        self._network = network

    def logits(self, inputs: Columns) -> Floats:
        fields = [self._network.logits(column) for column in inputs.values()]
        return np.asarray(np.mean(fields, axis=0).reshape(-1, len(self.labels)))

    def explain(self, inputs: Columns, most: int = 8) -> list[list[Reason]]:
        """Return the parts of the image whose covering lowers the label's probability most."""
        return explain_images(inputs, self.probabilities, most)

    def save(self, folder: Path) -> None:
        (folder / MODEL_FILE).write_bytes(self._network.content)
        self.write_facts(folder, "preprocessing", self._network.preprocessing.as_dict())

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> Self:
        pillow()  # Missing, it is said when a server starts, not at its first request.
        given, calibration, chosen = read_facts(folder, "preprocessing", len(schema.labels))
        network = ImageNetworkFile.of((folder / MODEL_FILE).read_bytes(), Preprocessing.from_dict(given))
        return cls(schema.labels, network, calibration, chosen)


def with_channels(pixels: Pixels) -> Pixels:
    """Return uint8 [images, height, width, channels] of images that may be grey, [images, height, width]."""
    return pixels[..., None] if pixels.ndim == 3 else pixels
