"""Feed images to an ONNX model: one tensor of pixels, in the size and layout that its input has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, Literal

import numpy as np

from rung.core.errors import RungError
from rung.core.types import Columns
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.reading import images_at_once, read_pixels
from rung.runtime.onnx.inputs import NUMBERS, Batch, listed

Layout = Literal["rows", "rows_channels", "channels_rows", "flat"]
_TYPES = {**NUMBERS, "tensor(uint8)": np.uint8, "tensor(float16)": np.float16}
_SHAPES = (
    "Images go in as one tensor [rows, height, width], [rows, height, width, 1 or 3], [rows, 1 or 3, height, width] or "
    "[rows, pixels] of a square, with fixed sides."
)


@dataclass(frozen=True)
class ImageReader:
    """Feeds the images of one field. layout: of the input's axes behind the rows. scale: what each level is multiplied by."""

    name: str
    field: str
    preprocessing: Preprocessing
    layout: Layout
    kind: type
    scale: float

    def batches(self, inputs: Columns, alone: bool) -> Iterator[Batch]:
        images = inputs[self.field]
        size = 1 if alone else images_at_once(self.preprocessing.width, self.preprocessing.height)
        for start in range(0, len(images), size):
            rows = list(range(start, min(start + size, len(images))))
            yield rows, {self.name: self._tensor([images[row] for row in rows])}

    def _tensor(self, images: Sequence[Any]) -> Any:
        pixels = read_pixels(images, self.preprocessing)
        if self.layout == "flat":
            pixels = pixels.reshape(len(pixels), -1)
        elif self.layout != "rows" and pixels.ndim == 3:
            pixels = pixels[..., None]
        if self.layout == "channels_rows":
            pixels = np.moveaxis(pixels, -1, 1)
        found: Any = pixels.astype(self.kind)
        return found if self.scale == 1.0 else found * self.kind(self.scale)


def image_reader(inputs: Sequence[Any], fields: Sequence[str], levels: str, where: str) -> ImageReader:
    """Return the reader for a session with such inputs.

    fields: the product's inputs. levels: "unit" for 0 to 1, "bytes" for 0 to 255. Raises RungError when the model reads
    something other than the pixels of one image.
    """
    if len(inputs) != 1 or len(fields) != 1:
        raise RungError(
            f"the file reads {listed(inputs)}, and the product has the inputs {', '.join(fields)}",
            where,
            "An image file reads one image of one field.",
        )
    (item,) = inputs
    if item.type not in _TYPES:
        raise RungError(f"its input is not supported: {listed(inputs)}", where, _SHAPES)
    layout, height, width, channels = _axes(item, where)
    kind = _TYPES[item.type]
    if levels == "unit" and np.issubdtype(kind, np.integer):
        raise RungError(
            f"the file reads whole numbers ({listed(inputs)}), and levels are 0 to 1",
            where,
            "Write params: {levels: bytes}, or export it for floating-point numbers.",
        )
    preprocessing = Preprocessing(width, height, "grey" if channels == 1 else "rgb")
    return ImageReader(
        item.name, fields[0], preprocessing, layout, kind, 1.0 / 255.0 if levels == "unit" else 1.0
    )


def _axes(item: Any, where: str) -> tuple[Layout, int, int, int]:
    """Return the layout, height, width and channels of an input; raises RungError for another shape."""
    sides = item.shape[1:]
    if all(isinstance(side, int) and side > 0 for side in sides):
        if len(sides) == 1:
            for channels in (1, 3):
                side = isqrt(sides[0] // channels)
                if side * side * channels == sides[0]:
                    return "flat", side, side, channels
        if len(sides) == 2:
            return "rows", sides[0], sides[1], 1
        if len(sides) == 3 and sides[2] in (1, 3):
            return "rows_channels", sides[0], sides[1], sides[2]
        if len(sides) == 3 and sides[0] in (1, 3):
            return "channels_rows", sides[1], sides[2], sides[0]
    raise RungError(f"its input is not supported: {listed([item])}", where, _SHAPES)
