"""The pixels of small copies with a linear head: the cheapest model that looks at an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.images.decode import Preprocessing
from rung.modalities.images.extractor import PixelExtractor
from rung.modalities.images.image_model import ImageModel, vectors_of


@dataclass(frozen=True)
class PixelsLinearParams:
    """What can be set; None and "auto" go by the training images or are searched on them within the effort.

    side: of the small copy, in pixels. fit: what happens to other aspect ratios. curved: let closeness to training
    images stand for the pixels, for borders that are not flat. most_rows: to learn from; None goes by the effort.
    """

    side: int | None = None
    colour: Literal["auto", "rgb", "grey"] = "auto"
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    head: Literal["auto", "svc", "ridge", "logistic"] = "auto"
    c: float | None = None
    curved: bool | None = None
    most_rows: int | None = None


class PixelsLinear(ImageModel):
    """Use it where images are taken alike and colour or layout tells classes apart: scans, meters, fixed cameras."""

    NEEDS = "build,images"
    PACKAGES = ("sklearn", "scipy", "PIL")
    TASKS = frozenset({"image_classification", "image_multilabel"})
    Params = PixelsLinearParams

    @classmethod
    def fit(cls, examples: Examples, params: PixelsLinearParams, context: FitContext) -> Self:
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
        side = params.side or min(max(typical_side(examples.inputs), 8), 28)
        colour = read_colour(examples.inputs, params.colour, side)
        extractor = PixelExtractor(Preprocessing(side, side, colour, params.fit), (), side)
        extractor = replace(extractor, factors=fit_factors(extractor, examples.inputs, 1.0))
        vectors = vectors_of(extractor, examples.inputs)
        found = fit_image_head(vectors, examples, HeadParams(params.head, params.c, params.curved), context)
        chosen = {"side": side, "colour": colour, **found.chosen}
        return cls(examples.schema.classes, extractor, found.head, chosen, found.nystroem)

    @classmethod
    def cost(cls, facts: DataFacts, params: PixelsLinearParams, context: FitContext) -> Cost:
        rows = min(facts.rows, params.most_rows or facts.rows)
        return Cost(3.0 + rows * 4e-3, 0.4, 200 + rows * 0.015, 2.5)
