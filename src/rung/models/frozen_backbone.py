"""A convolutional network trained on ImageNet that is not trained further, and a linear head that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.images.backbone import SIZE_MB
from rung.modalities.images.image_model import ImageModel, vectors_of

# CPU seconds of an image of 96 pixels a side.
_SECONDS = {"mobilenet_v2": 0.0022, "efficientnet_lite0": 0.0025}


@dataclass(frozen=True)
class FrozenBackboneParams:
    """What can be set; None and "auto" go by the training images or are searched on them within the effort.

    model: a name of `rung weights`. side: at which images are read, in pixels; None: 96 for images of up to 48 pixels,
    128 up to 160, else 224. fit: what happens to other aspect ratios. curved: let closeness to training images stand for
    the features, for borders that are not flat. most_rows: to learn from; None goes by the effort.
    """

    model: Literal["efficientnet_lite0", "mobilenet_v2"] = "efficientnet_lite0"
    side: int | None = None
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    head: Literal["auto", "svc", "ridge", "logistic"] = "auto"
    c: float | None = None
    curved: bool | None = None
    most_rows: int | None = None


class FrozenBackbone(ImageModel):
    """Use it for photos of things: it has seen a million of them, so that a hundred of yours may do."""

    NEEDS = "build,images"
    PACKAGES = ("sklearn", "scipy", "onnx", "PIL")
    TASKS = frozenset({"image_classification", "image_multilabel"})
    Params = FrozenBackboneParams

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: FrozenBackboneParams, context: FitContext
    ) -> RungError | None:
        from rung.runtime.weights.store import missing_weights

        return missing_weights(params.model)

    @classmethod
    def fit(cls, examples: Examples, params: FrozenBackboneParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.images.backbone_export import open_extractor
        from rung.training.images.fit import (
            HeadParams,
            backbone_side,
            fit_image_head,
            training_sample,
            typical_side,
        )

        examples = training_sample(examples, params.most_rows, context)
        side = params.side or backbone_side(typical_side(examples.inputs))
        extractor = open_extractor(params.model, side, params.fit)
        vectors = vectors_of(extractor, examples.inputs)
        found = fit_image_head(vectors, examples, HeadParams(params.head, params.c, params.curved), context)
        chosen = {"weights": params.model, "side": side, **found.chosen}
        return cls(examples.schema.classes, extractor, found.head, chosen, found.nystroem)

    @classmethod
    def cost(cls, facts: DataFacts, params: FrozenBackboneParams, context: FitContext) -> Cost:
        each = _SECONDS[params.model] * ((params.side or 128) / 96) ** 2
        rows = min(facts.rows, params.most_rows or facts.rows)
        size = SIZE_MB[params.model] + 3.0
        return Cost(
            5.0 + rows * (each + 5e-3), each * 1000, 350 + rows * 0.02, size, cached_seconds=rows * each
        )
