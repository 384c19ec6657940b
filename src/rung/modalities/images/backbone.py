"""Run a convolutional network with onnxruntime: images in, features out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.activity import doing, note
from rung.core.blobs import Blob
from rung.core.errors import BundleError
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.reading import images_at_once, read_pixels
from rung.runtime.embeddings.settings import embedding_cache_settings
from rung.runtime.onnx.session import OnnxFile

Floats = npt.NDArray[np.float32]
# Images whose features are computed before they are written to the build's cache.
_AT_ONCE = 256
# MB of the file of each network.
SIZE_MB = {"mobilenet_v2": 8.9, "efficientnet_lite0": 13.5}


@dataclass(frozen=True)
class BackboneConfig:
    """What `backbone.json` says beside `model.onnx`.

    id: changes whenever a feature could. widths: how many features each depth of the network gives, in order.
    """

    id: str
    widths: tuple[int, ...]
    licence: str = ""
    source: str = ""

    @classmethod
    def read(cls, folder: Path) -> BackboneConfig:
        """Return the configuration of a folder; raises BundleError when it is missing or wrong."""
        try:
            given = json.loads((folder / "backbone.json").read_text(encoding="utf-8"))
            known = {field.name: given[field.name] for field in fields(cls) if field.name in given}
            return cls(**known | {"widths": tuple(map(int, given["widths"]))})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BundleError(f"no usable backbone.json: {error}", folder.name, "Build it again.") from None

    def write(self, folder: Path) -> None:
        """Write `backbone.json`."""
        (folder / "backbone.json").write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


class Backbone:
    """A network whose input is uint8 [images, height, width, 3] and whose output is float32 [images, features]."""

    def __init__(self, folder: Path, config: BackboneConfig, file: OnnxFile) -> None:
        self.folder = folder
        self.config = config
        self._file = file

    @classmethod
    def open(cls, folder: Path) -> Backbone:
        """Return the backbone of a folder; raises RungError when a file is missing or cannot run."""
        return cls(folder, BackboneConfig.read(folder), OnnxFile.open(folder / "model.onnx"))

    @property
    def width(self) -> int:
        """Return how many features an image becomes."""
        return sum(self.config.widths)

    def embed(self, images: Sequence[Blob | None], preprocessing: Preprocessing) -> Floats:
        """Return [images, width]: the parts of `config.widths` scaled to the same length, together of length 1.

        While a build runs, by its threads and through its cache.
        """
        settings = embedding_cache_settings()
        if settings is None:
            return self._features(images, preprocessing, 1)
        threads = settings.threads
        name = f"{self.config.id} {json.dumps(preprocessing.as_dict())}"
        # Single precision: a build's features must be the served ones, bit for bit.
        cache = settings.cache(name, self.width, "float32")
        out = np.empty((len(images), self.width), np.float32)
        with doing("embed_images", len(images)):
            for begin in range(0, len(images), _AT_ONCE):
                piece = images[begin : begin + _AT_ONCE]
                by_hash = {image.sha256 if image else "": image for image in piece}

                def missing(keys: list[str], known: dict[str, Blob | None] = by_hash) -> Floats:
                    return self._features([known[key] for key in keys], preprocessing, threads)

                out[begin : begin + _AT_ONCE] = cache.embed(
                    [image.sha256 if image else "" for image in piece], missing
                )
                note(begin + len(piece))
        return out

    def _features(self, images: Sequence[Blob | None], preprocessing: Preprocessing, threads: int) -> Floats:
        read = read_pixels(images, preprocessing)
        size = images_at_once(preprocessing.width, preprocessing.height)
        batches = [read[begin : begin + size] for begin in range(0, len(read), size)]
        if not batches:
            return np.zeros((0, self.width), np.float32)
        with ThreadPoolExecutor(max(threads, 1)) as pool:
            found = list(pool.map(self._run, batches) if threads > 1 else map(self._run, batches))
        return self._scaled(np.concatenate(found))

    def _run(self, batch: npt.NDArray[Any]) -> Floats:
        found: Floats = self._file.run("features", {"images": batch})
        return found

    def _scaled(self, raw: Floats) -> Floats:
        parts = np.split(raw, np.cumsum(self.config.widths)[:-1], axis=1)
        share = np.float32(len(parts) ** -0.5)
        return np.hstack(
            [
                part * (share / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12))
                for part in parts
            ]
        )
