"""Read the text on images with onnxruntime: one network finds lines, another reads them. No OpenCV."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.core.errors import BundleError
from rung.modalities.images.decode import pillow
from rung.modalities.images.reading import RECENT, read_sizes
from rung.modalities.images.text_lines import Lines, TextLine, in_reading_order
from rung.modalities.images.text_regions import Region, find_regions
from rung.runtime.embeddings.settings import embedding_cache_settings
from rung.runtime.onnx.session import OnnxFile

Floats = npt.NDArray[np.float32]
CONFIG, FINDER, RECOGNISER = "reader.json", "finder.onnx", "recogniser.onnx"
# The shorter side of an image, in pixels, from which it is scaled down by a whole number before anything is read.
_LOADED = 1024
# Lines are read at this height; the network was trained on widths from 320.
_LINE_HEIGHT, _LEAST_WIDTH, _WIDTH_STEP = 48, 320, 32
# A line longer than so many times its height is squeezed: it would be a crop of what is no text.
_LONGEST = 80
# Sides of what the finder reads are multiples of it.
_STEP = 32
# What builds have read in this process; of so many documents of a page each, about 50 MB.
_READ: dict[tuple[Any, ...], list[Lines]] = {}
_MOST_READ = 10_000
# Higher than wide by this much, a line runs downwards.
_DOWNWARDS = 1.5


@dataclass(frozen=True)
class ReaderConfig:
    """What `reader.json` says beside the networks.

    whole: the image is one line, which is read without looking for lines. least_side, most_side: of the image that the
    finder reads, in pixels: the shorter side is brought up to the first, the longer one down to the second.
    least_score: of a line that is answered. most_lines: of an image.
    """

    whole: bool = False
    least_side: int = 736
    most_side: int = 1600
    least_score: float = 0.5
    most_lines: int = 400
    licence: str = ""
    source: str = ""

    @classmethod
    def read(cls, folder: Path) -> ReaderConfig:
        """Return the configuration of a folder; raises BundleError when it is missing or wrong."""
        try:
            given = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            return cls(**{field.name: given[field.name] for field in fields(cls) if field.name in given})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise BundleError(f"no usable {CONFIG}: {error}", folder.name, "Build it again.") from None

    @property
    def reading(self) -> tuple[Any, ...]:
        """Return what decides what is read; not which of it is answered."""
        return self.whole, self.least_side, self.most_side, self.most_lines

    def write(self, folder: Path) -> None:
        """Write `reader.json`."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8")


class TextReader:
    """Two networks: `finder` maps an image to how likely each cell is text, `recogniser` a line to its characters.

    finder: None where images are single lines. recogniser: CTC over the characters that its metadata lists.
    """

    def __init__(self, config: ReaderConfig, finder: OnnxFile | None, recogniser: OnnxFile) -> None:
        self.config = config
        self._finder, self._recogniser = finder, recogniser
        listed = recogniser.session.get_modelmeta().custom_metadata_map.get("character")
        if not listed:
            raise BundleError("the recogniser lists no characters", RECOGNISER, "Build it again.")
        self._characters = ["", *listed.splitlines(), " "]

    @classmethod
    def open(cls, folder: Path) -> TextReader:
        """Return the reader of a folder; raises RungError when a file is missing or cannot run."""
        config = ReaderConfig.read(folder)
        finder = None if config.whole else OnnxFile.open(folder / FINDER)
        return cls(config, finder, OnnxFile.open(folder / RECOGNISER))

    @classmethod
    def of(cls, reader: TextReader, config: ReaderConfig) -> TextReader:
        """Return a reader of the same networks with another configuration."""
        return cls(config, reader._finder, reader._recogniser)

    def save(self, folder: Path) -> None:
        """Write the networks as they were opened, and the configuration."""
        if self._finder is not None:
            self._finder.copy_to(folder / FINDER)
        self._recogniser.copy_to(folder / RECOGNISER)
        self.config.write(folder)

    def read(self, images: Sequence[Blob | None]) -> list[list[Lines]]:
        """Return the pieces of each line of each image, in reading order; none for a missing image.

        Every piece is read, whatever its score.
        """
        settings = embedding_cache_settings()
        threads = settings.threads if settings else 1
        # A build fits a rung on parts and on all of the same images, and scores it on others: each is read once.
        read = self._read_once if settings else self._read
        if threads > 1 and len(images) > 1:
            with ThreadPoolExecutor(threads) as pool:
                return list(pool.map(read, images))
        return [read(image) for image in images]

    def _read_once(self, image: Blob | None) -> list[Lines]:
        """Return what was read of an image before in this process, else read it now."""
        finder = self._finder.sha256 if self._finder else ""
        asked = (image.sha256 if image else "", self._recogniser.sha256, finder, self.config.reading)
        found = _READ.get(asked)
        if found is None:
            found = self._read(image)
            if len(_READ) >= _MOST_READ:
                _READ.pop(next(iter(_READ)), None)
            _READ[asked] = found
        return list(found)

    def _read(self, image: Blob | None) -> list[Lines]:
        if image is None:
            return []
        loaded = RECENT.load(image, _LOADED).convert("RGB")
        ((width, height),) = read_sizes([image]).tolist()
        if self._finder is None:
            text, score = self._recognise(loaded)
            return [(TextLine(text, 0.0, 0.0, width, height, score),)] if text.strip() else []
        scale = np.array([width / loaded.size[0], height / loaded.size[1]])
        pieces = []
        for region in self._find(loaded):
            text, score = self._recognise(_cut(loaded, region))
            if text.strip():
                box = Region(region.corners * scale, region.score).box
                pieces.append(TextLine(text, *box, score))
        return [tuple(row) for row in in_reading_order(pieces)]

    def _find(self, image: Any) -> list[Region]:
        """Return where lines are, in pixels of the loaded image."""
        assert self._finder is not None
        size = finder_size(image.size, self.config)
        pixels = np.asarray(image.resize(size, pillow().Resampling.BILINEAR), np.float32)
        (name,) = (item.name for item in self._finder.session.get_outputs())
        heat = self._finder.run(name, {"x": _network_input(pixels)})[0, 0]
        scale = np.array([image.size[0] / heat.shape[1], image.size[1] / heat.shape[0]])
        most = np.array(image.size, np.float64) - 1
        regions = [
            Region((region.corners * scale).clip(0, most), region.score)
            for region in find_regions(heat, self.config.most_lines)
        ]
        return [region for region in regions if min(region.sides) > 3]

    def _recognise(self, line: Any) -> tuple[str, float]:
        """Return the text of a line and the mean probability of its characters; ("", 0.0) for none."""
        width = min(math.ceil(_LINE_HEIGHT * line.size[0] / line.size[1]), _LONGEST * _LINE_HEIGHT)
        resized = line.resize((max(width, 1), _LINE_HEIGHT), pillow().Resampling.BILINEAR)
        padded = max(-(-resized.size[0] // _WIDTH_STEP) * _WIDTH_STEP, _LEAST_WIDTH)
        feed = np.zeros((1, 3, _LINE_HEIGHT, padded), np.float32)
        feed[..., : resized.size[0]] = _network_input(np.asarray(resized, np.float32))
        (name,) = (item.name for item in self._recogniser.session.get_outputs())
        return self._decode(self._recogniser.run(name, {"x": feed})[0])

    def _decode(self, steps: Floats) -> tuple[str, float]:
        """Return the text of CTC probabilities [steps, characters]: repeats and blanks left out."""
        best = steps.argmax(axis=1)
        kept = best > 0
        kept[1:] &= best[1:] != best[:-1]
        if not kept.any():
            return "", 0.0
        text = "".join(self._characters[i] for i in best[kept].tolist())
        return text, float(steps.max(axis=1)[kept].mean())


def finder_size(size: tuple[int, int], config: ReaderConfig) -> tuple[int, int]:
    """Return the width and height at which the finder reads an image of a size: multiples of 32."""
    scale = max(1.0, config.least_side / min(size))
    scale = min(scale, config.most_side / max(size))
    width, height = (max(round(length * scale / _STEP), 1) * _STEP for length in size)
    return width, height


def _network_input(pixels: Floats) -> Floats:
    """Return [1, 3, height, width] in [-1, 1], blue first, as the networks were trained."""
    return np.ascontiguousarray((pixels / 127.5 - 1.0)[None, :, :, ::-1].transpose(0, 3, 1, 2))


def _cut(image: Any, region: Region) -> Any:
    """Return the image of one line, upright; a line that runs downwards is turned."""
    images = pillow()
    width, height = (max(round(side), 1) for side in region.sides)
    one, two, three, four = region.corners
    quad = (*one, *four, *three, *two)
    cut = image.transform((width, height), images.Transform.QUAD, quad, images.Resampling.BICUBIC)
    return cut.transpose(images.Transpose.ROTATE_90) if height >= _DOWNWARDS * width else cut
