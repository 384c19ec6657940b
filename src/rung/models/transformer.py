"""A small transformer encoder trained from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import NetworkModel, network_cost
from rung.modalities.text.network_params import TextNetworkParams

# CPU seconds of a token in one epoch of training, and in an answer.
_TRAINING_SECONDS, _ANSWER_SECONDS = 2e-5, 7e-6


@dataclass(frozen=True)
class TransformerParams(TextNetworkParams):
    """Parameters, see TextNetworkParams."""

    epochs: int = 20
    learning_rate: float = 5e-4
    hidden: int = 512
    layers: int = 2
    heads: int = 4
    dropout: float = 0.2


class Transformer(NetworkModel):
    """Use it with many thousands of rows; on fewer, a fine-tuned encoder is better."""

    NEEDS = "train"
    PACKAGES = ("torch", "sklearn", "scipy", "onnx")
    TASKS = frozenset({"text_classification"})
    Params = TransformerParams
    PLACE = "asked"
    VALIDATION_SHARE = 0.1

    @classmethod
    def fit(cls, examples: Examples, params: TransformerParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.text_network_fit import fit_text_network

        found = fit_text_network("transformer", examples, params, context)
        return cls(examples.schema.labels, found.files, found.calibration, found.chosen)

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: TransformerParams, context: FitContext
    ) -> RungError | None:
        return cls.missing_packages()

    @classmethod
    def cost(cls, facts: DataFacts, params: TransformerParams, context: FitContext) -> Cost:
        return network_cost(facts, params, _TRAINING_SECONDS, _ANSWER_SECONDS)
