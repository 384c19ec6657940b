"""Learn a head for one's own things on the features of a packaged detector that is not trained further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.core.model import FitContext
from rung.modalities.images.boxes import Boxes, boxes_of, corners_of
from rung.modalities.images.detector import DetectorConfig, placed
from rung.modalities.images.reading import read_pixels, read_sizes
from rung.training.images.detector_export import (
    CONTEXT,
    LARGEST,
    SMALLEST,
    STRIDE,
    HeadWeights,
    open_features,
)

Floats = npt.NDArray[np.float32]
# How fast the wish for an answer falls from the middle of a box, as a share of its width and height (a Gaussian, as in
# CenterNet); above which part of it a cell learns the edges of the box too; below which it counts as empty.
_SPREAD, _MIDDLE, _EMPTY = 0.14, 0.3, 0.01
# Cells without a thing that teach, of an image at least.
_EMPTY_CELLS = 160
_MOST_CELLS = 120_000
# Cells of a step of training; steps at least and at most, however many the cells are.
_BATCH, _FEWEST_STEPS, _MOST_STEPS = 512, 200, 2_000


@dataclass(frozen=True)
class Cells:
    """Cells of many images. context: [cells, CONTEXT]. heat: [cells, labels], 1 in the middle of a thing of the label, less
    around it, 0 where there is none. reach: [cells, 4], logarithms of the distances to the edges of the thing near whose
    middle a cell is, NaN elsewhere.
    """

    context: Floats
    heat: Floats
    reach: Floats


def sample_cells(
    images: Sequence[Blob], truths: Sequence[Any], labels: Sequence[str], side: int, context: FitContext
) -> Cells:
    """Return cells to learn from: middles of boxes, and as many more without a thing. A seed gives the same cells."""
    network, rng = open_features(), np.random.default_rng(context.seed)
    preprocessing = DetectorConfig((), side).preprocessing
    parts = []
    for number, (image, truth) in enumerate(zip(images, truths, strict=True)):
        pixels = read_pixels([image], preprocessing)
        (found,) = network.run("context", {"images": pixels})
        shape = tuple(map(int, read_sizes([image])[0]))
        heat, reach = cell_targets(boxes_of(truth), labels, side, (shape[0], shape[1]), found.shape[:2])
        rows, columns = np.divmod(_chosen(heat, rng), found.shape[1])
        parts.append((found[rows, columns], heat[rows, columns], reach[rows, columns]))
        context.report(number + 1, len(images))
    joined = [np.concatenate([part[k] for part in parts]) for k in range(3)]
    if len(joined[0]) > _MOST_CELLS:
        kept = np.sort(rng.choice(len(joined[0]), _MOST_CELLS, replace=False))
        joined = [part[kept] for part in joined]
    return Cells(*joined)


def cell_targets(
    boxes: Boxes, labels: Sequence[str], side: int, shape: tuple[int, int], cells: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Return what a head should say at each cell: heat [rows, columns, labels] and reach [rows, columns, 4], as `Cells`.

    Where boxes overlap, the smaller one has the cell.
    """
    rows, columns = cells[:2]
    heat = np.zeros((rows, columns, len(labels)), np.float32)
    reach = np.full((rows, columns, 4), np.nan, np.float32)
    corners = placed(side, shape).to_square(corners_of(boxes)) if boxes else np.zeros((0, 4))
    sizes = corners[:, 2:] - corners[:, :2]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64) * STRIDE
    for place in np.argsort(-np.prod(sizes, axis=1), kind="stable").tolist():
        left, top, right, bottom = corners[place]
        width, height = right - left, bottom - top
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        squared = ((x - middle_x) / width) ** 2 + ((y - middle_y) / height) ** 2
        wish = np.exp(-squared / (2 * _SPREAD**2))
        # However small a thing is, the cell nearest to its middle teaches.
        nearest = (round(middle_y / STRIDE), round(middle_x / STRIDE))
        wish[min(max(nearest[0], 0), rows - 1), min(max(nearest[1], 0), columns - 1)] = 1.0
        channel = heat[..., labels.index(boxes[place].label)]
        np.maximum(channel, wish, out=channel)
        middle = wish >= _MIDDLE
        distances = np.stack([x - left, y - top, right - x, bottom - y], axis=-1)
        reach[middle] = np.log(np.maximum(distances[middle], 1e-3)).clip(SMALLEST, LARGEST)
    return heat, reach


def _chosen(heat: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the places of cells that teach: all near middles, as many around them, and others at random."""
    strongest = heat.max(axis=-1).ravel()
    middles = np.flatnonzero(strongest >= _MIDDLE)
    around = np.flatnonzero((strongest < _MIDDLE) & (strongest >= _EMPTY))
    empty = np.flatnonzero(strongest < _EMPTY)
    wanted = (min(len(around), 2 * len(middles)), min(len(empty), max(_EMPTY_CELLS, 2 * len(middles))))
    some = [
        rng.choice(places, count, replace=False)
        for places, count in zip((around, empty), wanted, strict=True)
    ]
    return np.sort(np.concatenate([middles, *some]))


def fit_head(cells: Cells, context: FitContext, hidden: int, epochs: int) -> HeadWeights:
    """Return a head with one hidden layer, trained by Adam on logistic loss of heat and absolute error of reach.

    Context is scaled to unit variance for training; the scales go into the weights. The same cells and seed give the
    same head.
    """
    rng = np.random.default_rng(context.seed)
    mean, scale = cells.context.mean(axis=0), cells.context.std(axis=0) + 1e-3
    x = ((cells.context - mean) / scale).astype(np.float32)
    labels = cells.heat.shape[1]
    first = rng.normal(0, (2 / CONTEXT) ** 0.5, (x.shape[1], hidden)).astype(np.float32)
    last = rng.normal(0, (1 / hidden) ** 0.5, (hidden, labels + 4)).astype(np.float32)
    bias = np.zeros(labels + 4, np.float32)
    bias[:labels] = -2.0
    known = ~np.isnan(cells.reach[:, 0])
    bias[labels:] = np.median(cells.reach[known], axis=0) if known.any() else 3.0
    weights = [first, np.zeros(hidden, np.float32), last, bias]
    optimiser = _Adam(weights)
    size, total = _BATCH, min(max(epochs * (len(x) // _BATCH), _FEWEST_STEPS), _MOST_STEPS)
    for step in range(total):
        if context.cancelled():
            break
        rows = rng.integers(0, len(x), size)
        gradients = _gradients(weights, x[rows], cells.heat[rows], cells.reach[rows])
        optimiser.step(gradients, 2e-3 * 0.5 * (1 + np.cos(np.pi * step / total)))
    first, low, last, bias = weights
    scaled = (first / scale[:, None]).astype(np.float32)
    return HeadWeights(
        (scaled, (low - mean @ scaled).astype(np.float32)),
        (last[:, :labels], bias[:labels]),
        (last[:, labels:], bias[labels:]),
    )


def _gradients(weights: list[Floats], x: Floats, heat: Floats, reach: Floats) -> list[Floats]:
    """Return the gradients of the loss of a batch; reach that is NaN has none."""
    first, low, last, bias = weights
    before = x @ first + low
    hidden = np.maximum(before, 0.0)
    said = hidden @ last + bias
    labels = heat.shape[1]
    chance = 1.0 / (1.0 + np.exp(-said[:, :labels].clip(-30, 30)))
    off = (chance - heat) / len(x)
    known = ~np.isnan(reach[:, :1])
    away = said[:, labels:] - np.nan_to_num(reach)
    # Huber's loss: far errors pull no harder than one unit of the logarithm's tenth.
    pull = np.where(known, np.clip(away / 0.1, -1.0, 1.0), 0.0) * (0.5 / max(int(known.sum()), 1))
    out = np.hstack([off, pull]).astype(np.float32)
    back = (out @ last.T) * (before > 0)
    decay = np.float32(1e-4)
    return [x.T @ back + decay * first, back.sum(axis=0), hidden.T @ out + decay * last, out.sum(axis=0)]


class _Adam:
    """Kingma & Ba (2015), on arrays that it changes in place."""

    def __init__(self, weights: list[Floats]) -> None:
        self._weights = weights
        self._first = [np.zeros_like(part) for part in weights]
        self._second = [np.zeros_like(part) for part in weights]
        self._steps = 0

    def step(self, gradients: list[Floats], rate: float) -> None:
        self._steps += 1
        for weight, gradient, first, second in zip(
            self._weights, gradients, self._first, self._second, strict=True
        ):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            unbiased = first / (1 - 0.9**self._steps)
            weight -= np.float32(rate) * unbiased / (np.sqrt(second / (1 - 0.999**self._steps)) + 1e-8)
