"""Items that the same people had: the sum of likeness to each item of the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.recommender import Recommender
from rung.modalities.recommendation.scorers import ItemSums


@dataclass(frozen=True)
class ItemNeighboursParams:
    """Parameters. neighbours: of each item that are kept. shrink: people with both items below which likeness counts little."""

    neighbours: int = 100
    shrink: float = 20.0


class ItemNeighbours(Recommender):
    """Use it where items are too many for a matrix of items by items, and for reasons that people understand at once."""

    Params = ItemNeighboursParams

    @classmethod
    def fit(cls, examples: Examples, params: ItemNeighboursParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.item_models import neighbours
        from rung.training.recommendation.popularity import learned

        found = learned(examples, context)
        rows = neighbours(found.people, params.neighbours, params.shrink)
        # Far below any likeness: it only settles the order of items that are like none of the history.
        prior = 1e-6 / max(float(found.shelf.popular.max()), 1e-9)
        scorer = ItemSums(rows, found.shelf.popular, "item_neighbours", prior=prior)
        return cls(found.shelf, scorer, found.facts | {"neighbours": params.neighbours})

    @classmethod
    def cost(cls, facts: DataFacts, params: ItemNeighboursParams, context: FitContext) -> Cost:
        return Cost(1.0 + facts.rows * 2e-3, 0.15, 70.0, 1.0)
