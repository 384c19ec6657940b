"""Write small images as PNG without Pillow, for the samples of tests and plans."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt


def write_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return an image as PNG: uint8 [height, width] as grey, [height, width, 3] as RGB."""
    height, width = pixels.shape[:2]
    colour = 2 if pixels.ndim == 3 else 0
    lines = b"".join(b"\x00" + np.ascontiguousarray(line).tobytes() for line in pixels)
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
