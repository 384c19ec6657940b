"""Thumbnails as data URIs, for pages that stand alone."""

from __future__ import annotations

import base64
import io

from rung.core.blobs import Blob
from rung.modalities.images.reading import RECENT

SIDE = 96
_QUALITY = 70


def data_uri(blob: Blob, side: int = SIDE) -> str:
    """Return a small JPEG of the image as a data URI. It carries none of the file's metadata.

    side: of the longer side, in pixels; smaller images keep their size. Raises InputError for an unreadable image.
    """
    image = RECENT.load(blob).copy()
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
