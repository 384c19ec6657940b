"""A packaged detector for 80 kinds of everyday things, asked as it is: people, vehicles, animals, household goods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.images.coco_labels import COCO, coco_channels
from rung.modalities.images.detector_model import LEAST_SCORE, DetectorModel

_WEIGHTS = "centernet"
# CPU seconds of an image, and MB of the network's file.
_SECONDS, _SIZE_MB = 0.08, 8.2


@dataclass(frozen=True)
class CocoDetectorParams:
    """What can be set. threshold: score from which a box is answered; None chooses it on training images."""

    threshold: float | None = None


class CocoDetector(DetectorModel):
    """Use it where your labels are everyday things, such as person, car or dog: it needs no training images of them."""

    Params = CocoDetectorParams

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: CocoDetectorParams, context: FitContext
    ) -> RungError | None:
        from rung.runtime.weights.store import missing_weights

        if facts.names and not any(coco_channels(facts.names)[0]):
            known = ", ".join(list(COCO)[:6])
            return RungError(
                f"none of the labels ({', '.join(facts.names[:6])}) is among the 80 things that it finds",
                "labels",
                f"It finds {known} and the like; other things are learned by detector_head.",
            )
        return missing_weights(_WEIGHTS)

    @classmethod
    def fit(cls, examples: Examples, params: CocoDetectorParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.images.box_threshold import choose_threshold
        from rung.training.images.detector_export import open_packaged

        labels = examples.schema.outputs[1].values
        channels, unknown = coco_channels(labels)
        detector = open_packaged(channels)
        threshold = params.threshold
        if threshold is None:
            (images,) = examples.inputs.values()
            found = detector.detect(images, LEAST_SCORE)
            threshold = choose_threshold(examples.targets, found, context.goal)
        chosen = {"weights": _WEIGHTS, "threshold": round(threshold, 4)}
        return cls(detector, threshold, chosen | ({"not_found": ", ".join(unknown)} if unknown else {}))

    @classmethod
    def cost(cls, facts: DataFacts, params: CocoDetectorParams, context: FitContext) -> Cost:
        seconds = 2.0 + (0.0 if params.threshold is not None else facts.rows * _SECONDS)
        return Cost(seconds, _SECONDS * 1000, 260, _SIZE_MB)
