"""Two towers: a small network gives the user's vector from the history, items have theirs from their ids and content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.errors import RungError
from rung.core.model import DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.history_params import HistoryParams
from rung.modalities.recommendation.network_scorer import NetworkRecommender


@dataclass(frozen=True)
class TwoTowerParams(HistoryParams):
    """Parameters, see HistoryParams; layers and heads have no effect."""

    epochs: int = 60
    window: int = 50


class TwoTower(NetworkRecommender):
    """Use it with thousands of users and items whose content says what they are; it ships only where it beats EASE on a cut in time."""

    Params = TwoTowerParams

    @classmethod
    def unavailable(cls, facts: DataFacts, params: TwoTowerParams, context: FitContext) -> RungError | None:
        from rung.training.recommendation.item_pictures import missing_pictures

        return super().unavailable(facts, params, context) or missing_pictures(context)

    @classmethod
    def fit(cls, examples: Examples, params: TwoTowerParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.content import content_vectors
        from rung.training.recommendation.popularity import learned
        from rung.training.torch.history_fit import fit_history_network

        found = learned(examples, context)
        vectors, how = content_vectors(found.people.catalogue)
        content = vectors if vectors.shape[1] else None
        scorer, chosen = fit_history_network("two_tower", found, content, params, context)
        return cls(found.shelf, scorer, found.facts | {"words": how} | chosen)
