"""A bidirectional GRU with attention pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import ScratchNetwork
from rung.modalities.text.network_params import TextNetworkParams


@dataclass(frozen=True)
class GruParams(TextNetworkParams):
    """Parameters, see TextNetworkParams."""

    epochs: int = 12
    learning_rate: float = 2e-3
    hidden: int = 96


class Gru(ScratchNetwork):
    """Use it as the LSTM's smaller sister: a quarter fewer weights at about the same quality."""

    Params = GruParams
    TRAINING_SECONDS, ANSWER_SECONDS = 1e-5, 3e-6

    @classmethod
    def fit(cls, examples: Examples, params: GruParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.text_network_fit import fit_text_network

        found = fit_text_network("gru", examples, params, context)
        return cls(examples.schema.classes, found.files, found.calibration, found.chosen)
