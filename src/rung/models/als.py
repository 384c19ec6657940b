"""Implicit alternating least squares; a user's factors are solved for when the request comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.recommender import Recommender


@dataclass(frozen=True)
class AlsParams:
    """Parameters. rank: numbers an item has. ridge: penalty. confidence: further weight of what was seen. rounds: passes over
    users and items.
    """

    rank: int = 48
    ridge: float = 30.0
    confidence: float = 10.0
    rounds: int = 12


class Als(Recommender):
    """Use it where items are very many: its size grows with the items, not with their pairs."""

    Params = AlsParams

    @classmethod
    def fit(cls, examples: Examples, params: AlsParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.factors import als
        from rung.training.recommendation.popularity import learned

        found = learned(examples, context)
        rank = min(params.rank, max(len(found.people.catalogue) // 2, 1))
        scorer = als(found.people, rank, params.ridge, params.confidence, params.rounds, context)
        facts = {"rank": rank, "ridge": params.ridge, "confidence": params.confidence}
        return cls(found.shelf, scorer, found.facts | facts)

    @classmethod
    def cost(cls, facts: DataFacts, params: AlsParams, context: FitContext) -> Cost:
        return Cost(2.0 + facts.rows * params.rounds * 6e-4, 0.5, 70.0, 0.5)
