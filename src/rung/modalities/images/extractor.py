"""From images to vectors: gradients and pixels computed here, or a backbone's features."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.core.errors import BundleError
from rung.modalities.images.backbone import Backbone
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.features import hog, pixels
from rung.modalities.images.reading import read_pixels

Floats = npt.NDArray[np.float32]


class Extractor(Protocol):
    """Turns each image of a column into a vector."""

    def extract(self, images: Sequence[Blob | None]) -> Floats:
        """Return [images, features]."""
        ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Write files into a folder where it has any, and return how it is used, for JSON."""
        ...


@dataclass(frozen=True)
class PixelExtractor:
    """Histograms of gradients beside the pixels, each part times a factor.

    cells: sides of the cells of the gradients, in pixels; () for none. pixel_side: the longest side to which the pixels
    are averaged; 0 leaves them out. factors: of the gradients and of the pixels: they give each part its length beside
    the other, on average over training images.
    """

    preprocessing: Preprocessing
    cells: tuple[int, ...]
    pixel_side: int
    factors: tuple[float, float] = (1.0, 1.0)

    def extract(self, images: Sequence[Blob | None]) -> Floats:
        gradients, levels = self.parts(images)
        return np.hstack([gradients * np.float32(self.factors[0]), levels * np.float32(self.factors[1])])

    def parts(self, images: Sequence[Blob | None]) -> tuple[Floats, Floats]:
        """Return the gradients and the pixels before the factors."""
        read = read_pixels(images, self.preprocessing)
        none = np.zeros((len(images), 0), np.float32)
        return (
            hog(read, self.cells) if self.cells else none,
            pixels(read, self.pixel_side) if self.pixel_side else none,
        )

    def save(self, folder: Path) -> dict[str, Any]:
        return {
            "kind": "pixels",
            "preprocessing": self.preprocessing.as_dict(),
            "cells": list(self.cells),
            "pixel_side": self.pixel_side,
            "factors": list(self.factors),
        }


@dataclass(frozen=True)
class BackboneExtractor:
    """The features of a backbone, each depth of the network of the same length, together of length 1."""

    backbone: Backbone
    preprocessing: Preprocessing

    def extract(self, images: Sequence[Blob | None]) -> Floats:
        return self.backbone.embed(images, self.preprocessing)

    def save(self, folder: Path) -> dict[str, Any]:
        (folder / "backbone").mkdir()
        for name in ("model.onnx", "backbone.json"):
            shutil.copyfile(self.backbone.folder / name, folder / "backbone" / name)
        return {"kind": "backbone", "preprocessing": self.preprocessing.as_dict()}


def load_extractor(folder: Path, saved: Mapping[str, Any]) -> Extractor:
    """Return what `save` wrote; raises BundleError for a kind that this version does not know."""
    preprocessing = Preprocessing.from_dict(saved["preprocessing"])
    if saved["kind"] == "pixels":
        low, high = saved["factors"]
        return PixelExtractor(preprocessing, tuple(saved["cells"]), saved["pixel_side"], (low, high))
    if saved["kind"] == "backbone":
        return BackboneExtractor(Backbone.open(folder / "backbone"), preprocessing)
    raise BundleError(f"'{saved['kind']}' is no kind of image features", folder.name, "Build it again.")
