"""Features of decoded images in numpy: histograms of oriented gradients, and the pixels themselves at a lower resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
BINS = 9
_BLOCK = 2
_CLIP = 0.2
# Added to the squared length of a block of square roots in [0, 1]: flat areas stay near zero instead of showing noise.
_QUIET = 1e-3
# Longer side at which sharpness is measured, in pixels.
SHARPNESS_SIDE = 256
# Pixels whose gradients are held at a time.
_AT_ONCE = 2_000_000


def hog(images: Pixels, cells: Sequence[int]) -> Floats:
    """Return [images, features]: histograms of oriented gradients at one or more cell sizes, side by side.

    images: uint8 [images, height, width] or [images, height, width, 3]; of colour, each pixel counts with the channel
    of its largest gradient. cells: sides of the square cells, in pixels; what a cell does not fill at the right and
    bottom edge is left out. Square roots of the levels, unsigned orientations in 9 bins with linear interpolation,
    overlapping blocks of 2 x 2 cells with L2-Hys normalisation (Dalal & Triggs 2005).
    """
    count, height, width = images.shape[:3]
    widths = [_hog_width(height, width, cell) for cell in cells]
    out = np.zeros((count, sum(widths)), np.float32)
    step = max(1, _AT_ONCE // max(height * width, 1))
    for begin in range(0, count, step):
        piece = images[begin : begin + step]
        strength, lower, share = _gradients(piece)
        at = 0
        for cell, features in zip(cells, widths, strict=True):
            cell_histograms = _histograms(strength, lower, share, cell)
            out[begin : begin + step, at : at + features] = _blocks(cell_histograms)
            at += features
    return out


def pixels(images: Pixels, side: int) -> Floats:
    """Return [images, features]: the levels in [0, 1], averaged over areas until no side is longer than `side`.

    images: uint8 [images, height, width] or [images, height, width, 3].
    """
    height, width = images.shape[1:3]
    factor = max(1, -(-max(height, width) // side))
    rows, columns = height // factor, width // factor
    cut = images[:, : rows * factor, : columns * factor]
    channels = images.shape[3] if images.ndim == 4 else 1
    parts = cut.reshape(len(images), rows, factor, columns, factor, channels)
    means = (
        parts.mean(axis=(2, 4), dtype=np.float32) if factor > 1 else parts[:, :, 0, :, 0].astype(np.float32)
    )
    return np.asarray(means / np.float32(255), np.float32).reshape(len(images), rows * columns * channels)


def is_grey(images: Pixels) -> bool:
    """Return whether every pixel of these colour images has three equal channels, give or take a level of JPEG."""
    wide = images.astype(np.int16)
    return bool(
        (np.abs(wide[..., 0] - wide[..., 1]) <= 2).all() and (np.abs(wide[..., 1] - wide[..., 2]) <= 2).all()
    )


def sharpness(image: Any) -> float:
    """Return the standard deviation of the Laplacian of a Pillow image's grey levels, in [0, 1] (Pech-Pacheco et al. 2000).

    The image is scaled down to SHARPNESS_SIDE pixels on its longer side first, so that sizes compare; 0 for less than
    3 x 3 pixels.
    """
    factor = max(image.size) // SHARPNESS_SIDE
    small = image.reduce(factor) if factor > 1 else image
    grey = small if small.mode == "L" else small.convert("L")
    longer = max(grey.size)
    if longer > SHARPNESS_SIDE:
        grey = grey.resize([max(round(side * SHARPNESS_SIDE / longer), 1) for side in grey.size])
    levels = np.asarray(grey, np.float32) / np.float32(255)
    if min(levels.shape) < 3:
        return 0.0
    inner = levels[1:-1, 1:-1]
    around = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:]
    return float((inner - around / 4).std())


def _hog_width(height: int, width: int, cell: int) -> int:
    return max(height // cell - _BLOCK + 1, 0) * max(width // cell - _BLOCK + 1, 0) * BINS * _BLOCK**2


def _gradients(images: Pixels) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
    """Return strength, lower bin and the share of the upper bin, each [images, height, width]."""
    levels = np.sqrt(images.astype(np.float32) / np.float32(255))
    across, down = np.zeros_like(levels), np.zeros_like(levels)
    across[:, :, 1:-1] = levels[:, :, 2:] - levels[:, :, :-2]
    down[:, 1:-1] = levels[:, 2:] - levels[:, :-2]
    strength = np.hypot(across, down)
    if levels.ndim == 4:
        strongest = strength.argmax(axis=-1)[..., None]
        strength, across, down = (
            np.take_along_axis(values, strongest, axis=-1)[..., 0] for values in (strength, across, down)
        )
    angle = np.arctan2(down, across) * np.float32(BINS / np.pi) + np.float32(2 * BINS - 0.5)
    lower = np.floor(angle)
    return strength, lower.astype(np.int64) % BINS, angle - lower


def _histograms(strength: Floats, lower: npt.NDArray[np.int64], share: Floats, cell: int) -> Floats:
    """Return [images, rows of cells, columns of cells, bins]."""
    count, height, width = strength.shape
    rows, columns = height // cell, width // cell
    inside = (slice(None), slice(0, rows * cell), slice(0, columns * cell))
    number = np.arange(rows * cell)[:, None] // cell * columns + np.arange(columns * cell) // cell
    place = (np.arange(count)[:, None, None] * (rows * columns) + number) * BINS
    low, high = strength[inside] * (1 - share[inside]), strength[inside] * share[inside]
    size = count * rows * columns * BINS
    total = np.bincount((place + lower[inside]).ravel(), low.ravel(), size)
    total += np.bincount((place + (lower[inside] + 1) % BINS).ravel(), high.ravel(), size)
    return (total / cell**2).astype(np.float32).reshape(count, rows, columns, BINS)


def _blocks(histograms: Floats) -> Floats:
    """Return [images, features]: blocks of neighbouring cells, each scaled to length 1, clipped and scaled again."""
    count, rows, columns, _ = histograms.shape
    down, across = max(rows - _BLOCK + 1, 0), max(columns - _BLOCK + 1, 0)
    corners = [histograms[:, i : i + down, j : j + across] for i in range(_BLOCK) for j in range(_BLOCK)]
    blocks = np.concatenate(corners, axis=-1)
    blocks = _to_length_one(np.minimum(_to_length_one(blocks), np.float32(_CLIP)))
    return blocks.reshape(count, down * across * BINS * _BLOCK**2)


def _to_length_one(blocks: Floats) -> Floats:
    squared = np.einsum("...i,...i->...", blocks, blocks)
    return np.asarray(blocks / np.sqrt(squared + np.float32(_QUIET))[..., None], np.float32)
