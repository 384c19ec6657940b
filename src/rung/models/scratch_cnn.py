"""A small residual network over pixels, trained from random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.training_params import Schedule
from rung.core.types import Examples
from rung.modalities.images.network_model import ImageNetwork
from rung.modalities.images.network_params import ImageTrainingParams

# CPU seconds of an image of 28 pixels a side in one epoch, and in an answer.
_TRAINING_SECONDS, _ANSWER_SECONDS = 1.6e-3, 4e-4


@dataclass(frozen=True)
class ScratchCnnParams(ImageTrainingParams):
    """Parameters. width: channels of the first stage, doubled by each later one; layers: residual blocks of a stage.
    The rest as in ImageTrainingParams.
    """

    width: int = 32
    layers: int = 1
    epochs: int = 20
    learning_rate: float = 3e-3
    schedule: Schedule = "one_cycle"
    weight_decay: float = 0.05
    patience: int = 0
    label_smoothing: float = 0.05


class ScratchCnn(ImageNetwork):
    """Use it where images are small and many, and unlike photos: digits, marks, textures, signals drawn as images."""

    Params = ScratchCnnParams

    @classmethod
    def fit(cls, examples: Examples, params: ScratchCnnParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.image_network_fit import fit_scratch_cnn

        found = fit_scratch_cnn(examples, params, params.width, params.layers, context)
        return cls(examples.schema.labels, found.network, found.calibration, found.chosen)

    @classmethod
    def cost(cls, facts: DataFacts, params: ScratchCnnParams, context: FitContext) -> Cost:
        share = ((params.side or 28) / 28) ** 2 * (params.width / 32) ** 2 * (1 + params.layers) / 2
        rows = min(facts.rows, params.most_rows or facts.rows)
        fit = 6.0 + rows * (1e-3 + params.epochs * _TRAINING_SECONDS * share)
        return Cost(fit, (1e-4 + _ANSWER_SECONDS * share) * 1000, 600.0 + rows * 0.01, 1.0)
