"""Explain an image's label for any scorer: cover parts and measure the change of the score (Zeiler & Fergus 2014)."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.core.model import Reason
from rung.core.types import Columns
from rung.modalities.images.reading import RECENT

Floats = npt.NDArray[np.float64]
Probabilities = Callable[[Columns], Floats]
Margin = Callable[[Floats], Floats]
# The image is divided into so many cells a side; each cover spans _SPAN cells a side and moves by one.
_CELLS, _SPAN = 7, 2
# Longer side of the covered versions, in pixels: enough for what models read, and quick to write.
_SIDE = 384
# Weights below this share of the strongest are noise of the covers.
_LEAST_SHARE = 0.15


def label_margin(probabilities: Floats) -> Floats:
    """Return, a version, by how much the log-probability of the first one's label is above the mean of the others'."""
    logs = np.log(np.clip(probabilities, 1e-12, 1))
    top = int(logs[0].argmax())
    return np.asarray(logs[:, top] - (logs.sum(axis=1) - logs[:, top]) / max(logs.shape[1] - 1, 1))


def set_margin(probabilities: Floats, thresholds: Sequence[float]) -> Floats:
    """Return, a version, the mean log-odds of the labels that the first one was given; of the likeliest where it has none."""
    given = probabilities[0] >= np.asarray(thresholds)
    if not given.any():
        given = np.arange(len(given)) == int(probabilities[0].argmax())
    chosen = np.clip(probabilities[:, given], 1e-9, 1 - 1e-9)
    return np.asarray((np.log(chosen) - np.log(1 - chosen)).mean(axis=1))


def explain_images(
    inputs: Columns, probabilities: Probabilities, most: int, margin: Margin = label_margin
) -> list[list[Reason]]:
    """Return, a row, the cells of its images whose covering changes the answer's margin most, strongest first.

    margin: how much the probabilities of the plain image and of its covered versions speak for the plain one's answer.

    A region is (x, y, width, height) as shares of the upright image. A weight is positive where the cell speaks for the
    answer. Of several image fields each is covered while the others stay.
    """
    rows = len(next(iter(inputs.values()), ()))
    return [
        _explain_row({name: column[row] for name, column in inputs.items()}, probabilities, most, margin)
        for row in range(rows)
    ]


def _explain_row(
    row: Mapping[str, Any], probabilities: Probabilities, most: int, margin: Margin
) -> list[Reason]:
    found: list[Reason] = []
    for name, blob in row.items():
        if not isinstance(blob, Blob):
            continue
        versions = [*_covered(blob)]
        columns = {
            other: versions if other == name else [value] * len(versions) for other, value in row.items()
        }
        margins = margin(probabilities(columns))
        field = f"{name}: " if len(row) > 1 else ""
        found.extend(_cells(margins[0] - margins[1:], field))
    strongest = sorted(found, key=lambda reason: -abs(reason.weight))[:most]
    least = _LEAST_SHARE * abs(strongest[0].weight) if strongest else 0.0
    return [reason for reason in strongest if abs(reason.weight) > least]


def _covered(blob: Blob) -> Sequence[Blob]:
    """Return the image, then versions with one square covered in its mean colour, row by row."""
    image = RECENT.load(blob).copy()
    image.thumbnail((_SIDE, _SIDE))
    width, height = image.size
    levels = np.asarray(image)
    mean = levels.reshape(width * height, -1).mean(axis=0).round().astype(int).tolist()
    colour = mean[0] if len(mean) == 1 else tuple(mean)
    versions = [image]
    for down in range(_CELLS - _SPAN + 1):
        for across in range(_CELLS - _SPAN + 1):
            covered = image.copy()
            left, right = width * across // _CELLS, width * (across + _SPAN) // _CELLS
            top, bottom = height * down // _CELLS, height * (down + _SPAN) // _CELLS
            covered.paste(colour, (left, top, right, bottom))
            versions.append(covered)
    return [_blob(version) for version in versions]


def _blob(image: Any) -> Blob:
    out = io.BytesIO()
    image.save(out, "BMP")
    return Blob.of(out.getvalue())


def _cells(change: Floats, field: str) -> list[Reason]:
    """Return a reason for each cell: the mean change of the covers that span it."""
    places = _CELLS - _SPAN + 1
    total, count = np.zeros((_CELLS, _CELLS)), np.zeros((_CELLS, _CELLS))
    for number, value in enumerate(change):
        down, across = divmod(number, places)
        total[down : down + _SPAN, across : across + _SPAN] += value
        count[down : down + _SPAN, across : across + _SPAN] += 1
    weights = total / count
    side = 1 / _CELLS
    return [
        Reason(
            f"{field}x {across * side:.0%}-{(across + 1) * side:.0%}, y {down * side:.0%}-{(down + 1) * side:.0%}",
            round(float(weights[down, across]), 4),
            (round(across * side, 4), round(down * side, 4), round(side, 4), round(side, 4)),
        )
        for down in range(_CELLS)
        for across in range(_CELLS)
    ]
