"""Histograms of oriented gradients and pixels with a linear head: no weights to fetch, a tenth of a millisecond an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.extractor import PixelExtractor
from rung.modalities.images.image_model import ImageModel, vectors_of

# The longer side of training images, up to which they are read at this side with cells of these sides.
_SIZES = ((30, 28, (4, 7)), (48, 32, (4, 8)))
_LARGE = (64, (8, 16))


@dataclass(frozen=True)
class HogLinearParams:
    """What can be set; None and "auto" go by the training images or are searched on them within the effort.

    side: at which images are read, in pixels; cells: sides of the cells of gradients, which should divide it.
    fit: what happens to other aspect ratios. pixel_weight: length of the pixels beside the gradients; 0 leaves them out.
    curved: let closeness to training images stand for the features, for borders that are not flat. most_rows: to
    learn from; None goes by the effort.
    """

    side: int | None = None
    cells: tuple[int, ...] | None = None
    colour: Literal["auto", "rgb", "grey"] = "auto"
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    pixel_weight: float = 0.5
    head: Literal["auto", "svc", "ridge", "logistic"] = "auto"
    c: float | None = None
    curved: bool | None = None
    most_rows: int | None = None


class HogLinear(ImageModel):
    """Use it first: where shape tells classes apart (garments, digits, marks, parts) it is good at a tenth of a
    backbone's price."""

    NEEDS = "build,images"
    PACKAGES = ("sklearn", "scipy", "PIL")
    TASKS = frozenset({"image_classification", "image_multilabel"})
    Params = HogLinearParams

    @classmethod
    def fit(cls, examples: Examples, params: HogLinearParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.images.fit import (
            HeadParams,
            fit_factors,
            fit_image_head,
            read_colour,
            training_sample,
            typical_side,
        )

        examples = training_sample(examples, params.most_rows, context)
        side, cells = _size(params, typical_side(examples.inputs))
        colour = read_colour(examples.inputs, params.colour, side)
        reading = Preprocessing(side, side, colour, params.fit)
        extractor = PixelExtractor(reading, cells, side if params.pixel_weight else 0)
        extractor = replace(extractor, factors=fit_factors(extractor, examples.inputs, params.pixel_weight))
        vectors = vectors_of(extractor, examples.inputs)
        found = fit_image_head(vectors, examples, HeadParams(params.head, params.c, params.curved), context)
        chosen = {"side": side, "cells": list(cells), "colour": colour, **found.chosen}
        return cls(examples.schema.classes, extractor, found.head, chosen, found.nystroem)

    @classmethod
    def cost(cls, facts: DataFacts, params: HogLinearParams, context: FitContext) -> Cost:
        rows = min(facts.rows, params.most_rows or facts.rows)
        return Cost(5.0 + rows * 8e-3, 0.6, 300 + rows * 0.03, 3.0)


def _size(params: HogLinearParams, typical: int) -> tuple[int, tuple[int, ...]]:
    """Return the side at which images are read and the sides of the cells."""
    side, cells = next(((side, cells) for most, side, cells in _SIZES if typical <= most), _LARGE)
    if params.side:
        side, cells = params.side, (max(params.side // 8, 1), max(params.side // 4, 1))
    return side, params.cells or cells
