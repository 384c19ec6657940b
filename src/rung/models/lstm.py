"""A bidirectional LSTM with attention pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import ScratchNetwork
from rung.modalities.text.network_params import TextNetworkParams


@dataclass(frozen=True)
class LstmParams(TextNetworkParams):
    """Parameters, see TextNetworkParams."""

    epochs: int = 12
    learning_rate: float = 2e-3
    hidden: int = 96


class Lstm(ScratchNetwork):
    """Use it where word order decides and thousands of rows are labelled."""

    Params = LstmParams
    TRAINING_SECONDS, ANSWER_SECONDS = 1.2e-5, 4e-6

    @classmethod
    def fit(cls, examples: Examples, params: LstmParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.text_network_fit import fit_text_network

        found = fit_text_network("lstm", examples, params, context)
        return cls(examples.schema.classes, found.files, found.calibration, found.chosen)
