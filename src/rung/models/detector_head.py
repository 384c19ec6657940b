"""A packaged detector that is not trained further, and a small head on its features that finds your own things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from rung.core.errors import RungError
from rung.core.folds import assign_folds
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.images.detector import Detector
from rung.modalities.images.detector_model import LEAST_SCORE, DetectorModel

_WEIGHTS = "centernet"
# CPU seconds of an image, and MB of the network's file.
_SECONDS, _SIZE_MB = 0.15, 8.6
_PARTS = 4


@dataclass(frozen=True)
class DetectorHeadParams:
    """What can be set.

    side: of the square in which images are read, in pixels, a multiple of 32: twice the side finds things of half the size,
    at four times the price. hidden: units between features and answers. epochs: passes over the cells that teach, 2,000 steps at most. threshold:
    score from which a box is answered; None chooses it on training images that the head did not learn from. most_overlap: of
    two answered boxes of one label, as a share of what both cover.
    """

    side: int = 512
    hidden: int = 48
    epochs: int = 12
    threshold: float | None = None
    most_overlap: float = 0.4


class DetectorHead(DetectorModel):
    """Use it for things of your own, such as defects or tree crowns, from some tens of images on."""

    Params = DetectorHeadParams

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: DetectorHeadParams, context: FitContext
    ) -> RungError | None:
        from rung.runtime.weights.store import missing_weights

        if params.side % 32 or not 128 <= params.side <= 2048:
            return RungError(
                f"`side` is {params.side}", "params.side", "Use a multiple of 32 from 128 to 2048."
            )
        return missing_weights(_WEIGHTS)

    @classmethod
    def fit(cls, examples: Examples, params: DetectorHeadParams, context: FitContext) -> Self:
        cls.require()
        threshold = params.threshold
        if threshold is None:
            threshold = _threshold(examples, params, context)
        detector = _detector(examples, params, context)
        chosen = {
            "weights": _WEIGHTS, "side": params.side, "hidden": params.hidden, "threshold": round(threshold, 4),
        }  # fmt: skip
        return cls(detector, threshold, chosen)

    @classmethod
    def cost(cls, facts: DataFacts, params: DetectorHeadParams, context: FitContext) -> Cost:
        each = _SECONDS * (params.side / 512) ** 2
        steps = min(max(facts.rows * params.epochs, 200), 2_000)
        learn = steps * params.hidden * 1e-4
        fit = 4.0 + facts.rows * each * 2.2 + learn * 2
        return Cost(fit, each * 1000, 420 * (params.side / 512) ** 2, _SIZE_MB)


def _detector(examples: Examples, params: DetectorHeadParams, context: FitContext) -> Detector:
    """Return a detector with a head learned from these rows."""
    from rung.training.images.detector_export import make_detector
    from rung.training.images.detector_head import fit_head, sample_cells

    labels = examples.schema.outputs[1].values
    (images,) = examples.inputs.values()
    cells = sample_cells(images, examples.targets, labels, params.side, context)
    head = fit_head(cells, context, params.hidden, params.epochs)
    return make_detector(labels, params.side, head, params.most_overlap)


def _threshold(examples: Examples, params: DetectorHeadParams, context: FitContext) -> float:
    """Return the threshold that is best on a part of the rows, units whole, for a head learned from the others."""
    from rung.training.images.box_threshold import choose_threshold

    part = assign_folds(_PARTS, examples.units, ["" if target else "none" for target in examples.targets])
    test = np.flatnonzero(part == 0).tolist()
    learn = np.flatnonzero(part != 0).tolist()
    if not test or not any(examples.targets[row] for row in learn):
        learn = test = list(range(len(examples)))  # one unit: nothing can be held out
    detector = _detector(examples.take(learn), params, context)
    held = examples.take(test)
    (images,) = held.inputs.values()
    return choose_threshold(held.targets, detector.detect(images, LEAST_SCORE), context.goal)
