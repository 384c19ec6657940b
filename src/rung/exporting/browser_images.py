"""What the page of an image product must know: how images are read, and how a drawing is made like the product's own images."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.exporting.source import Source
from rung.modalities.images.decode import Preprocessing, load

# Levels by which a pixel differs from the paper where there is ink; of the border, the share that must be paper.
_INK, _PLAIN_SHARE = 48, 0.98
# Images of a longer side than this are no drawings of a few strokes.
_MOST_SIDE, _FEWEST = 64, 3


def preprocessing_of(source: Source) -> Preprocessing | None:
    """Return how the model of a bundle reads images; None for one that reads none."""
    for name in ("head.json", "network.json"):
        path = source.folder / "model" / name
        facts = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        given = facts.get("preprocessing") or facts.get("extractor", {}).get("preprocessing")
        if given:
            return Preprocessing.from_dict(given)
    return None


def drawing_frame(source: Source, reading: Preprocessing) -> dict[str, int] | None:
    """Return how a drawing is made like the packed images; None where they do not look like drawings.

    side: of the image, in pixels. inner: the longer side of what is drawn, the median of the images. paper, ink: levels.
    Small grey images are drawings where nearly all of their borders have one level, white or black.
    """
    fields = source.manifest.schema.inputs
    if reading.colour != "grey" or len(fields) != 1:
        return None
    _, rows = source.predictor.packed_examples()
    images = [_levels(row[fields[0].name], reading) for row in rows if isinstance(row[fields[0].name], Blob)]
    if len(images) < _FEWEST or max(max(image.shape) for image in images) > _MOST_SIDE:
        return None
    border = np.concatenate([_border(image) for image in images])
    paper = 255 if float(np.median(border)) > 127 else 0
    if float((np.abs(border - paper) < _INK).mean()) < _PLAIN_SHARE:
        return None
    side = int(np.median([max(image.shape) for image in images]))
    shares = [_longer_side(image, paper) / max(image.shape) for image in images]
    return {
        "side": side,
        "inner": max(round(side * float(np.median(shares))), 1),
        "paper": paper,
        "ink": 255 - paper,
    }


def _levels(image: Blob, reading: Preprocessing) -> npt.NDArray[np.int64]:
    loaded = load(image.read(), image.shown(), reading.least_side, reading.background)
    return np.asarray(loaded.convert("L"), np.int64)


def _border(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def _longer_side(image: npt.NDArray[Any], paper: int) -> int:
    """Return the longer side of the box around the ink; 0 for an empty image."""
    ink = np.abs(image - paper) >= _INK
    lengths = [int(np.ptp(np.flatnonzero(ink.any(axis=axis)))) + 1 for axis in (0, 1)] if ink.any() else [0]
    return max(lengths)
