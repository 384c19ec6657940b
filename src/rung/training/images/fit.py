"""Fit the head of an image model on ready vectors, and choose how images are read from the training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.blobs import Blob
from rung.core.errors import DataError, RungError
from rung.core.model import FitContext
from rung.core.types import Columns, Examples
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.extractor import PixelExtractor
from rung.modalities.images.features import is_grey
from rung.modalities.images.reading import read_pixels, read_sizes
from rung.runtime.linear.head import LinearHead
from rung.runtime.linear.nystroem import Nystroem
from rung.training.linear.feature_matrix import FeatureMatrix
from rung.training.linear.label_sets import codes_of, sample_examples, search_and_fit_classes
from rung.training.linear.nystroem_search import search_nystroem
from rung.training.linear.search import candidate_heads, fit_head, search, search_summary

Ints = npt.NDArray[np.int64]
Colour = Literal["auto", "rgb", "grey"]
# Images that a model learns from, by effort: beyond it hours are spent on tenths of a point.
MAX_ROWS = {0: 5_000, 1: 10_000, 2: 20_000, 3: 60_000, 4: 200_000, 5: 1_000_000}
# Images looked at to tell their size and whether they are all grey.
_SAMPLE = 300
# C of a ridge over closeness to landmarks: images want ten times less restraint than texts (docs/log.md).
_STRENGTHS = (0.6, 1.2, 2.5, 5.0)
# Rows from which a ridge with curved borders is tried alone: it won wherever it was measured.
_CURVED_ROWS = 2_000


@dataclass(frozen=True)
class ImageHead:
    """A fitted head. nystroem: the landmarks its weights are of; None for a head over the vectors themselves."""

    head: LinearHead
    nystroem: Nystroem | None
    chosen: dict[str, Any]


@dataclass(frozen=True)
class HeadParams:
    """What can be set of a head; None and "auto" are searched on training rows within the effort.

    curved: let closeness to training images stand for the vectors, for borders that are not flat.
    """

    head: Literal["auto", "svc", "ridge", "logistic"] = "auto"
    c: float | None = None
    curved: bool | None = None


def fit_image_head(
    vectors: npt.NDArray[np.float32], examples: Examples, params: HeadParams, context: FitContext
) -> ImageHead:
    """Return a head fitted on the vectors of these rows, whose mean length is about 1.

    Where a row has a set of labels, each label has a flat border of its own.
    """
    labels = examples.schema.classes
    codes = codes_of(examples.targets, examples.schema)
    matrix = FeatureMatrix((vectors.astype(np.float64),))
    heads = candidate_heads(params.head, params.c, context.effort, dense=True)
    if codes.ndim == 2:
        if params.curved:
            raise RungError(
                "borders of several labels a row are flat", "ladder.params.curved", "Leave `curved` out."
            )
        _, head, summary = search_and_fit_classes({"vectors": matrix}, codes, labels, heads, context)
        del summary["features"]
        return ImageHead(head, None, {**summary, "rows": len(codes)})
    if params.curved is not False and context.effort >= 2 and len(codes) >= _CURVED_ROWS:
        heads = [pair for pair in heads if pair[0] == "ridge"] or heads
    found = search({"vectors": matrix}, codes, len(labels), heads, context)
    strengths = _STRENGTHS if params.c is None else (params.c,)
    curved = search_nystroem(matrix, matrix.blocks[0], codes, found, params.curved, context, strengths)
    if curved:
        matrix, found = curved.matrix, curved.found
    head = fit_head(matrix, codes, len(labels), found, context)
    chosen = {**search_summary(found, head), "rows": len(codes), "curved": curved is not None}
    del chosen["features"]
    if curved:
        return ImageHead(curved.map_to_kernel(head), curved.nystroem, chosen)
    return ImageHead(head, None, chosen)


def training_sample(examples: Examples, most: int | None, context: FitContext) -> Examples:
    """Return the rows to learn from: all of them, or as many as set or fit the effort, every label in its share."""
    return sample_examples(examples, most or MAX_ROWS[context.effort], context.seed)


def typical_side(inputs: Columns) -> int:
    """Return the median of the longer side of these images, in pixels; raises DataError where there is none."""
    images = _spread(inputs)
    if not images:
        raise DataError("no training row has an image", fix="Check `data.input`.")
    return int(np.median(read_sizes(images).max(axis=1)))


def backbone_side(typical: int) -> int:
    """Return the side at which a pretrained network reads images of a typical longer side."""
    return 96 if typical <= 48 else 128 if typical <= 160 else 224


def read_colour(inputs: Columns, wanted: Colour, side: int) -> Literal["rgb", "grey"]:
    """Return how to read these images: as wanted, or in grey when none of a sample has colour."""
    if wanted != "auto":
        return wanted
    return "grey" if is_grey(read_pixels(_spread(inputs), Preprocessing(side, side))) else "rgb"


def fit_factors(extractor: PixelExtractor, inputs: Columns, pixel_weight: float) -> tuple[float, float]:
    """Return the factors that give both parts of a vector their length beside the other, together of length about 1.

    pixel_weight: length of the pixels beside gradients of length 1.
    """
    lengths = np.zeros(2)
    for column in inputs.values():
        parts = extractor.parts(column)
        lengths += [float(np.sqrt((part.astype(np.float64) ** 2).sum(axis=1).mean())) for part in parts]
    both = bool(extractor.cells) and bool(extractor.pixel_side)
    wanted = (1.0, pixel_weight) if both else (1.0, 1.0)
    factors = [share / length if length else 1.0 for share, length in zip(wanted, lengths, strict=True)]
    return factors[0], factors[1]


def _spread(inputs: Columns) -> list[Blob]:
    """Return a sample of the images of all fields, evenly spread."""
    images: Sequence[Blob] = [image for column in inputs.values() for image in column if image is not None]
    step = max(len(images) // _SAMPLE, 1)
    return list(images[::step])
