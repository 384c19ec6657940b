"""The text network that a search over kinds, sizes and training finds best."""

from __future__ import annotations

from typing import Self

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import ScratchNetwork
from rung.modalities.text.network_search_params import NetworkSearchParams


class NetworkSearch(ScratchNetwork):
    """Use it with hours to spare and thousands of rows, when no network by hand clears the bar."""

    PACKAGES = ("torch", "optuna", "sklearn", "scipy", "onnx")
    Params = NetworkSearchParams
    VALIDATION_SHARE = 0.2
    # Of a network in the middle.
    TRAINING_SECONDS, ANSWER_SECONDS = 6e-6, 3e-6

    @classmethod
    def fit(cls, examples: Examples, params: NetworkSearchParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.network_search import search_network

        found = search_network(examples, params, context)
        return cls(examples.schema.classes, found.files, found.calibration, found.chosen)

    @classmethod
    def cost(cls, facts: DataFacts, params: NetworkSearchParams, context: FitContext) -> Cost:
        once = super().cost(facts, params, context)
        # Half of the trials are stopped early.
        searching = once.fit_seconds * params.trials * 0.5
        if params.minutes:
            searching = min(searching, 60.0 * params.minutes)
        return Cost(once.fit_seconds + searching, once.cpu_seconds_per_1k, once.memory_mb, once.size_mb)
