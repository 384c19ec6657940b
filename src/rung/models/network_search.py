"""The text network that a search over kinds, sizes and training finds best."""

from __future__ import annotations

from typing import Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.text.network_model import NetworkModel, network_cost
from rung.modalities.text.network_search_params import NetworkSearchParams

# CPU seconds of a token in one epoch of training, and in an answer, of a network in the middle.
_TRAINING_SECONDS, _ANSWER_SECONDS = 6e-6, 3e-6


class NetworkSearch(NetworkModel):
    """Use it with hours to spare and thousands of rows, when no network by hand clears the bar."""

    NEEDS = "train"
    PACKAGES = ("torch", "optuna", "sklearn", "scipy", "onnx")
    TASKS = frozenset({"text_classification"})
    Params = NetworkSearchParams
    PLACE = "asked"
    VALIDATION_SHARE = 0.2

    @classmethod
    def fit(cls, examples: Examples, params: NetworkSearchParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.torch.network_search import search_network

        found = search_network(examples, params, context)
        return cls(examples.schema.labels, found.files, found.calibration, found.chosen)

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: NetworkSearchParams, context: FitContext
    ) -> RungError | None:
        return cls.missing_packages()

    @classmethod
    def cost(cls, facts: DataFacts, params: NetworkSearchParams, context: FitContext) -> Cost:
        once = network_cost(facts, params, _TRAINING_SECONDS, _ANSWER_SECONDS)
        # Half of the trials are stopped early.
        searching = once.fit_seconds * params.trials * 0.5
        if params.minutes:
            searching = min(searching, 60.0 * params.minutes)
        return Cost(once.fit_seconds + searching, once.cpu_seconds_per_1k, once.memory_mb, once.size_mb)
