"""A convolutional network trained on ImageNet whose last blocks, or all of them, are trained further."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.training_params import Schedule
from rung.core.types import Examples
from rung.modalities.images.backbone import SIZE_MB
from rung.modalities.images.network_model import ImageNetwork
from rung.modalities.images.network_params import ImageTrainingParams

# CPU seconds of an image of 96 pixels a side in one epoch (all blocks; the last three), and in an answer.
_TRAINING_SECONDS, _LAST_SECONDS, _ANSWER_SECONDS = 1.1e-2, 4e-3, 2.5e-3


@dataclass(frozen=True)
class FinetunedBackboneParams(ImageTrainingParams):
    """Parameters. model: a name of `rung weights`. blocks: how many of the last ones are trained; None: all.
    The rest as in ImageTrainingParams.
    """

    model: Literal["efficientnet_lite0", "mobilenet_v2"] = "efficientnet_lite0"
    blocks: int | None = None
    epochs: int = 4
    batch_rows: int = 32
    learning_rate: float = 5e-4
    layer_decay: float = 0.9
    schedule: Schedule = "one_cycle"
    weight_decay: float = 0.01
    patience: int = 0
    refit: bool | None = False


class FinetunedBackbone(ImageNetwork):
    """Use it for photos of things where the frozen network is not good enough and minutes of training are at hand."""

    Params = FinetunedBackboneParams

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: FinetunedBackboneParams, context: FitContext
    ) -> RungError | None:
        from rung.runtime.weights.store import missing_weights

        return missing_weights(params.model) or cls.missing_packages()

    @classmethod
    def fit(cls, examples: Examples, params: FinetunedBackboneParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.image_network_fit import fit_backbone

        found = fit_backbone(params.model, params.blocks, examples, params, context)
        return cls(examples.schema.labels, found.network, found.calibration, found.chosen)

    @classmethod
    def cost(cls, facts: DataFacts, params: FinetunedBackboneParams, context: FitContext) -> Cost:
        share = ((params.side or 128) / 96) ** 2
        rows = min(facts.rows, params.most_rows or facts.rows)
        each = _TRAINING_SECONDS if params.blocks is None else _LAST_SECONDS
        fit = 8.0 + rows * (5e-3 + share * (params.epochs * each + _ANSWER_SECONDS))
        return Cost(fit, share * _ANSWER_SECONDS * 1000, 900.0 + rows * 0.03, SIZE_MB[params.model])
