"""Self-attention over the last events of a history, trained from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.history_params import HistoryParams
from rung.modalities.recommendation.network_scorer import NetworkRecommender


@dataclass(frozen=True)
class SasrecParams(HistoryParams):
    """Parameters, see HistoryParams."""


class Sasrec(NetworkRecommender):
    """Use it with thousands of users whose events follow on each other; it ships only where it beats EASE on a cut in time."""

    Params = SasrecParams

    @classmethod
    def fit(cls, examples: Examples, params: SasrecParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.popularity import learned
        from rung.training.torch.history_fit import fit_history_network

        found = learned(examples, context)
        scorer, chosen = fit_history_network("sasrec", found, None, params, context)
        return cls(found.shelf, scorer, found.facts | chosen)
