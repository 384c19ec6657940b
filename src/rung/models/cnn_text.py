"""Convolutions over three to five tokens: a network that reads short phrases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import ScratchNetwork
from rung.modalities.text.network_params import TextNetworkParams


@dataclass(frozen=True)
class CnnTextParams(TextNetworkParams):
    """Parameters, see TextNetworkParams."""

    epochs: int = 15
    learning_rate: float = 1e-3
    hidden: int = 100
    dropout: float = 0.5


class CnnText(ScratchNetwork):
    """Use it where short phrases decide and thousands of rows are labelled."""

    Params = CnnTextParams
    TRAINING_SECONDS, ANSWER_SECONDS = 1.2e-5, 4e-6

    @classmethod
    def fit(cls, examples: Examples, params: CnnTextParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.text_network_fit import fit_text_network

        found = fit_text_network("cnn_text", examples, params, context)
        return cls(examples.schema.classes, found.files, found.calibration, found.chosen)
