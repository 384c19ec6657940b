"""Run an object detector with onnxruntime: images in, boxes out. Decoding and thinning out happen here, for every place alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.core.errors import BundleError
from rung.modalities.images.boxes import Box, suppress
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.reading import read_pixels, read_sizes
from rung.runtime.embeddings.settings import embedding_cache_settings
from rung.runtime.onnx.session import OnnxFile

Floats = npt.NDArray[np.float32]
# Peaks of an image that become rectangles, and rectangles that stay after thinning out.
_MOST_PEAKS, MOST_BOXES = 500, 300
# Images that are decoded before the network sees them: 25 MB at 512 pixels a side.
_AT_ONCE = 32
MODEL, CONFIG = "model.onnx", "detector.json"


@dataclass(frozen=True)
class DetectorConfig:
    """What `detector.json` says beside `model.onnx`.

    labels: of the channels of the heat map, in order; "" for one that is not answered. side: of the square that the
    network reads, in pixels. stride: pixels of that square a cell of the maps stands for. most_overlap: of two answered
    boxes of one label.
    """

    labels: tuple[str, ...]
    side: int = 512
    stride: int = 4
    most_overlap: float = 0.5
    licence: str = ""
    source: str = ""

    @classmethod
    def read(cls, folder: Path) -> DetectorConfig:
        """Return the configuration of a folder; raises BundleError when it is missing or wrong."""
        try:
            given = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            known = {field.name: given[field.name] for field in fields(cls) if field.name in given}
            return cls(**known | {"labels": tuple(map(str, given["labels"]))})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BundleError(f"no usable {CONFIG}: {error}", folder.name, "Build it again.") from None

    def write(self, folder: Path) -> None:
        """Write `detector.json`."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8")

    @property
    def preprocessing(self) -> Preprocessing:
        """Return how images are read: whole, in their shape, the rest of the square grey."""
        return Preprocessing(
            self.side, self.side, "rgb", "pad", background=128, least_side=max(self.side, 512)
        )


class Detector:
    """A network whose input is uint8 [images, height, width, 3] and whose outputs are maps.

    heat: float32 [images, rows, columns, labels] in [0, 1], high at the middle of a thing of a label. sizes: [images, rows,
    columns, 4]: pixels from the cell to the left, top, right and bottom edge of the thing. content: of the network, where it
    lies in no file yet.
    """

    def __init__(self, config: DetectorConfig, file: OnnxFile, content: bytes = b"") -> None:
        self.config = config
        self._file, self._content = file, content

    @classmethod
    def open(cls, folder: Path) -> Detector:
        """Return the detector of a folder; raises RungError when a file is missing or cannot run."""
        return cls(DetectorConfig.read(folder), OnnxFile.open(folder / MODEL))

    def save(self, folder: Path) -> None:
        """Write the network as it was opened, and its configuration."""
        if self._content:
            (folder / MODEL).write_bytes(self._content)
        else:
            self._file.copy_to(folder / MODEL)
        self.config.write(folder)

    def detect(self, images: Sequence[Blob | None], least: float) -> list[list[Box]]:
        """Return the boxes of each image with a score of at least `least`, the surest first; none for a missing image."""
        found: list[list[Box]] = []
        settings = embedding_cache_settings()
        threads = settings.threads if settings else 1
        for begin in range(0, len(images), _AT_ONCE):
            piece = images[begin : begin + _AT_ONCE]
            read = read_pixels(piece, self.config.preprocessing)
            shapes = [None if image is None else read_sizes([image])[0] for image in piece]

            def one(
                row: int,
                read: npt.NDArray[np.uint8] = read,
                shapes: list[Any] = shapes,
            ) -> list[Box]:
                if shapes[row] is None:
                    return []
                heat, sizes = self._maps(read[row : row + 1])
                width, height = shapes[row]
                return self._boxes(heat[0], sizes[0], (int(width), int(height)), least)

            if threads > 1 and len(piece) > 1:
                with ThreadPoolExecutor(threads) as pool:
                    found += pool.map(one, range(len(piece)))
            else:
                found += map(one, range(len(piece)))
        return found

    def _maps(self, image: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        heat, sizes = self._file.run_all(("heat", "sizes"), {"images": image})
        return heat, sizes

    def _boxes(self, heat: Floats, sizes: Floats, shape: tuple[int, int], least: float) -> list[Box]:
        rows, columns, labels, scores = _peaks(heat, least)
        answered = np.array([bool(label) for label in self.config.labels])[labels]
        rows, columns, labels, scores = (part[answered] for part in (rows, columns, labels, scores))
        reach = sizes[rows, columns].astype(np.float64) * [-1, -1, 1, 1]
        middle = np.stack([columns, rows, columns, rows], axis=1) * float(self.config.stride)
        corners = placed(self.config.side, shape).to_image(middle + reach)
        whole = np.prod(corners[:, 2:] - corners[:, :2] > 0.5, axis=1) > 0
        corners, labels, scores = corners[whole], labels[whole], scores[whole]
        kept = suppress(corners, scores.astype(np.float64), labels, self.config.most_overlap)[:MOST_BOXES]
        return [
            Box(self.config.labels[labels[i]], x, y, right - x, bottom - y, float(scores[i]))
            for i in kept
            for x, y, right, bottom in (corners[i].tolist(),)
        ]


@dataclass(frozen=True)
class Placement:
    """Where an image lies in the square that a network reads. scale: of x and y; offset: of its top left corner."""

    scale: tuple[float, float]
    offset: tuple[int, int]
    shape: tuple[int, int]

    def to_image(self, corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return [boxes, 4] corners of the square in pixels of the upright image, cut at its edges."""
        moved = (corners - [*self.offset, *self.offset]) / [*self.scale, *self.scale]
        return np.asarray(moved.clip(0.0, [*self.shape, *self.shape]), np.float64)

    def to_square(self, corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return [boxes, 4] corners in the upright image in pixels of the square."""
        return np.asarray(corners * [*self.scale, *self.scale] + [*self.offset, *self.offset], np.float64)


def placed(side: int, shape: tuple[int, int]) -> Placement:
    """Return where an image of a width and height lies in a square into which it was padded."""
    scale = min(side / shape[0], side / shape[1])
    inner = tuple(max(round(length * scale), 1) for length in shape)
    offset = ((side - inner[0]) // 2, (side - inner[1]) // 2)
    return Placement((inner[0] / shape[0], inner[1] / shape[1]), offset, shape)


def _peaks(heat: Floats, least: float) -> tuple[npt.NDArray[Any], ...]:
    """Return rows, columns, labels and scores of cells that no neighbour of their label exceeds, the highest first."""
    rows, columns, labels = np.nonzero(heat >= least)
    scores = heat[rows, columns, labels]
    if len(scores) > 100 * _MOST_PEAKS:  # a threshold so low that nearly all is noise
        top = np.argpartition(-scores, 100 * _MOST_PEAKS)[: 100 * _MOST_PEAKS]
        rows, columns, labels, scores = rows[top], columns[top], labels[top], scores[top]
    high = np.ones(len(scores), bool)
    for down, across in _neighbours():
        y, x = rows + down, columns + across
        inside = (y >= 0) & (y < heat.shape[0]) & (x >= 0) & (x < heat.shape[1])
        near = heat[y.clip(0, heat.shape[0] - 1), x.clip(0, heat.shape[1] - 1), labels]
        high &= ~inside | (near <= scores)
    order = np.flatnonzero(high)[np.argsort(-scores[high], kind="stable")][:_MOST_PEAKS]
    return rows[order], columns[order], labels[order], scores[order]


def _neighbours() -> Iterator[tuple[int, int]]:
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            if down or across:
                yield down, across
