"""Convolutions over three to five tokens: a network that reads short phrases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import NetworkModel, network_cost
from rung.modalities.text.network_params import TextNetworkParams

# CPU seconds of a token in one epoch of training, and in an answer.
_TRAINING_SECONDS, _ANSWER_SECONDS = 1.2e-5, 4e-6


@dataclass(frozen=True)
class CnnTextParams(TextNetworkParams):
    """Parameters, see TextNetworkParams."""

    epochs: int = 15
    learning_rate: float = 1e-3
    hidden: int = 100
    dropout: float = 0.5


class CnnText(NetworkModel):
    """Use it where short phrases decide and thousands of rows are labelled."""

    NEEDS = "train"
    PACKAGES = ("torch", "sklearn", "scipy", "onnx")
    TASKS = frozenset({"text_classification"})
    Params = CnnTextParams
    PLACE = "asked"
    VALIDATION_SHARE = 0.1

    @classmethod
    def fit(cls, examples: Examples, params: CnnTextParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.text_network_fit import fit_text_network

        found = fit_text_network("cnn_text", examples, params, context)
        return cls(examples.schema.labels, found.files, found.calibration, found.chosen)

    @classmethod
    def unavailable(cls, facts: DataFacts, params: CnnTextParams, context: FitContext) -> RungError | None:
        return cls.missing_packages()

    @classmethod
    def cost(cls, facts: DataFacts, params: CnnTextParams, context: FitContext) -> Cost:
        return network_cost(facts, params, _TRAINING_SECONDS, _ANSWER_SECONDS)
