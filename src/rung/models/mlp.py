"""Embedding, two layers: the mean of learned token vectors through a small network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import NetworkModel, network_cost
from rung.modalities.text.network_params import TextNetworkParams

# CPU seconds of a token in one epoch of training, and in an answer.
_TRAINING_SECONDS, _ANSWER_SECONDS = 2e-7, 4e-7


@dataclass(frozen=True)
class MlpParams(TextNetworkParams):
    """Parameters, see TextNetworkParams."""

    epochs: int = 30
    learning_rate: float = 3e-3
    dropout: float = 0.3
    patience: int = 5


class Mlp(NetworkModel):
    """Use it to see what the simplest network learns; rung 1 is usually better and always cheaper."""

    NEEDS = "train"
    PACKAGES = ("torch", "sklearn", "scipy", "onnx")
    TASKS = frozenset({"text_classification"})
    Params = MlpParams
    PLACE = "asked"
    VALIDATION_SHARE = 0.1

    @classmethod
    def fit(cls, examples: Examples, params: MlpParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.text_network_fit import fit_text_network

        found = fit_text_network("mlp", examples, params, context)
        return cls(examples.schema.labels, found.files, found.calibration, found.chosen)

    @classmethod
    def unavailable(cls, facts: DataFacts, params: MlpParams, context: FitContext) -> RungError | None:
        return cls.missing_packages()

    @classmethod
    def cost(cls, facts: DataFacts, params: MlpParams, context: FitContext) -> Cost:
        return network_cost(facts, params, _TRAINING_SECONDS, _ANSWER_SECONDS)
