"""What comes soon after the last items of a history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.recommender import Recommender
from rung.modalities.recommendation.scorers import ItemSums


@dataclass(frozen=True)
class MarkovParams:
    """Parameters. window: events within which an item follows another. decay: weight of each step further away. recent: last items
    of the history that count. most: followers kept of each item.
    """

    window: int = 10
    decay: float = 0.9
    recent: int = 20
    most: int = 200


class Markov(Recommender):
    """Use it where the order matters: sessions, playlists, episodes."""

    Params = MarkovParams

    @classmethod
    def fit(cls, examples: Examples, params: MarkovParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.item_models import transitions
        from rung.training.recommendation.popularity import learned

        found = learned(examples, context)
        rows = transitions(found.people, params.window, params.decay, params.most)
        prior = 1e-6 / max(float(found.shelf.popular.max()), 1e-9)
        settings = {"recent": params.recent, "decay": params.decay}
        scorer = ItemSums(rows, found.shelf.popular, "markov", params.recent, params.decay, prior)
        return cls(found.shelf, scorer, found.facts | settings)

    @classmethod
    def cost(cls, facts: DataFacts, params: MarkovParams, context: FitContext) -> Cost:
        return Cost(1.5 + facts.rows * 2e-3, 0.16, 70.0, 1.0)
