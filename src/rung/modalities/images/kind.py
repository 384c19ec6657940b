"""The image kind: what is read of an image, what equal images have in common, how one is shown and measured."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from rung.core.blobs import Blob
from rung.core.errors import InputError, MissingExtra
from rung.core.kind import MediaKind
from rung.modalities.images.decode import Preprocessing, read_header
from rung.modalities.images.png import write_png
from rung.modalities.images.reading import RECENT
from rung.modalities.images.thumbnail import data_uri

# Brightness and contrast are measured on a small grey copy.
_MEASURED = Preprocessing(32, 32, "grey", resample="area")
# A difference hash compares each of 8 x 8 cells with its right neighbour.
_HASHED = Preprocessing(9, 8, "grey", resample="area")


class ImageKind(MediaKind):
    """An image file: JPEG, PNG, WebP, GIF, BMP or TIFF."""

    name = "image"
    suffixes = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
    accepts = "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/tiff"
    max_bytes: ClassVar[int] = 32 << 20

    def tiny(self) -> list[Any]:
        levels = np.linspace(0, 255, 12 * 10).reshape(12, 10).astype(np.uint8)
        return [write_png(levels), write_png(np.stack([levels, 255 - levels, levels // 2], axis=-1))]

    def inspect(self, blob: Blob) -> Mapping[str, float]:
        """Return width and height as displayed, brightness and contrast in [0, 1], and whether it is animated.

        The whole image is decoded, so that a damaged one is found here. Raises ValueError, "unreadable: reason".
        """
        try:
            data = blob.read()
            header = read_header(data, blob.shown())
            grey = _MEASURED.apply(RECENT.load(blob, data=data)) / 255
        except MissingExtra:
            raise
        except InputError as error:
            raise ValueError(f"unreadable: {error.problem}") from None
        return {
            "width": header.width,
            "height": header.height,
            "brightness": round(float(grey.mean()), 3),
            "contrast": round(float(grey.std()), 3),
            "animated": float(header.animated),
        }

    def near_key(self, value: Any) -> int | None:
        """Return the 64 bits of a difference hash; None for an image without content here."""
        if not isinstance(value, Blob) or value.source is None:
            return None
        grey = _HASHED.apply(RECENT.load(value)).astype(np.int16)
        bits = (grey[:, 1:] > grey[:, :-1]).ravel()
        return int.from_bytes(np.packbits(bits).tobytes(), "big")

    def preview_html(self, value: Any, chars: int = 280) -> str:
        """Return a thumbnail with the file's name; the name alone where the content is not here."""
        shown = html.escape(self.preview_text(value, chars))
        if not isinstance(value, Blob) or value.source is None:
            return shown
        return f'<img class="thumb" src="{data_uri(value)}" alt="{shown}" title="{shown}" loading="lazy">'
