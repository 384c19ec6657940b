"""Embedding, two layers: the mean of learned token vectors through a small network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import ScratchNetwork
from rung.modalities.text.network_params import TextNetworkParams


@dataclass(frozen=True)
class MlpParams(TextNetworkParams):
    """Parameters, see TextNetworkParams."""

    epochs: int = 30
    learning_rate: float = 3e-3
    dropout: float = 0.3
    patience: int = 5


class Mlp(ScratchNetwork):
    """Use it to see what the simplest network learns; rung 1 is usually better and always cheaper."""

    Params = MlpParams
    TRAINING_SECONDS, ANSWER_SECONDS = 2e-7, 4e-7

    @classmethod
    def fit(cls, examples: Examples, params: MlpParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.text_network_fit import fit_text_network

        found = fit_text_network("mlp", examples, params, context)
        return cls(examples.schema.classes, found.files, found.calibration, found.chosen)
