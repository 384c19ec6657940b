"""The image kind: what is read of an image, what equal images have in common, how one is shown and measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from rung.core.blobs import Blob
from rung.core.errors import InputError, MissingExtra
from rung.core.kind import MediaKind
from rung.modalities.images.dicom import dicom_subject, is_dicom
from rung.modalities.images.looks import LOOKS
from rung.modalities.images.metadata import camera, personal_metadata, strip_metadata
from rung.modalities.images.png import write_png
from rung.modalities.images.thumbnail import SIDE, data_uri

# Length of 16 x 16 centred grey levels below which an image shows nothing.
_BLANK = 16.0
# Longer side of a picture that people judge, in pixels.
_PICTURE_SIDE = 640


class ImageKind(MediaKind):
    """An image file: JPEG, PNG, WebP, GIF, BMP or TIFF; DICOM where pydicom is installed."""

    name = "image"
    suffixes = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".dcm"})
    accepts = "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/tiff,application/dicom,.dcm"
    max_bytes: ClassVar[int] = 32 << 20
    extra = "images"
    # Of two files of one photo, saved as JPEG of quality 60 or at half its size, nine in ten reach it; of two garments
    # of Fashion-MNIST, 28 pixels a side, two in a thousand do (docs/log.md).
    near_least: ClassVar[float] = 0.995

    def tiny(self) -> list[Any]:
        levels = np.linspace(0, 255, 12 * 10).reshape(12, 10).astype(np.uint8)
        return [write_png(levels), write_png(np.stack([levels, 255 - levels, levels // 2], axis=-1))]

    def inspect(self, blob: Blob) -> Mapping[str, float]:
        """Return width and height as displayed, brightness, contrast and sharpness in [0, 1], and whether it is animated.

        The whole image is decoded, so that a damaged one is found here. Raises ValueError, "unreadable: reason".
        """
        try:
            look = LOOKS.at(blob)
        except MissingExtra:
            raise
        except InputError as error:
            raise ValueError(f"unreadable: {error.problem}") from None
        grey = look.small / 255
        return {
            "width": look.width,
            "height": look.height,
            "brightness": round(float(grey.mean()), 3),
            "contrast": round(float(grey.std()), 3),
            "sharpness": round(look.sharpness, 4),
            "animated": float(look.animated),
        }

    def near_vector(self, value: Any) -> Any:
        """Return the image as 16 x 16 grey levels, centred, of length 1; None for a blank or unreadable one."""
        if not isinstance(value, Blob) or value.source is None:
            return None
        try:
            grey = LOOKS.at(value).small.astype(np.float32).ravel()
        except InputError:
            return None
        centred = grey - grey.mean()
        length = float(np.linalg.norm(centred))
        return centred / length if length > _BLANK else None

    def subject(self, value: Any) -> str:
        data = value.read() if isinstance(value, Blob) else b""
        return dicom_subject(data) if is_dicom(data) else ""

    def personal_metadata(self, value: Any) -> frozenset[str]:
        return personal_metadata(value.read()) if isinstance(value, Blob) else frozenset()

    def without_metadata(self, value: Any) -> Any:
        if not isinstance(value, Blob):
            return value
        data = value.read()
        stripped = strip_metadata(data)
        if stripped == data:
            return value
        return replace(Blob.of(stripped, value.name), measures=value.measures)

    def origin(self, value: Any) -> str:
        """Return the camera that the file names, else its size in pixels; "" for what cannot be read."""
        if not isinstance(value, Blob) or value.source is None:
            return ""
        try:
            return camera(value.read())
        except InputError:
            return ""

    def thumbnail(self, value: Any) -> str:
        return _shown(value, SIDE)

    def picture(self, value: Any) -> str:
        return _shown(value, _PICTURE_SIDE)


def _shown(value: Any, side: int) -> str:
    """Return an image as a data URI; "" for one without content or that cannot be read."""
    if not isinstance(value, Blob) or value.source is None:
        return ""
    try:
        return data_uri(value, side)
    except InputError:
        return ""
