"""A small transformer encoder trained from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import ScratchNetwork
from rung.modalities.text.network_params import TextNetworkParams


@dataclass(frozen=True)
class TransformerParams(TextNetworkParams):
    """Parameters, see TextNetworkParams."""

    epochs: int = 20
    learning_rate: float = 5e-4
    hidden: int = 512
    layers: int = 2
    heads: int = 4
    dropout: float = 0.2


class Transformer(ScratchNetwork):
    """Use it with many thousands of rows; on fewer, a fine-tuned encoder is better."""

    Params = TransformerParams
    TRAINING_SECONDS, ANSWER_SECONDS = 2e-5, 7e-6

    @classmethod
    def fit(cls, examples: Examples, params: TransformerParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.text_network_fit import fit_text_network

        found = fit_text_network("transformer", examples, params, context)
        return cls(examples.schema.classes, found.files, found.calibration, found.chosen)
