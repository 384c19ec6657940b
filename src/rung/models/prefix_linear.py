"""Ridge regression from the first events of people to what they did later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.recommender import Recommender


@dataclass(frozen=True)
class PrefixLinearParams:
    """Parameters. ridge: strength of the penalty; None chooses it on people held out. rank: directions that are kept."""

    ridge: float | None = None
    rank: int = 96


class PrefixLinear(Recommender):
    """Use it for newcomers: it learns from beginnings, and stays near what is popular where there is little to go by."""

    Params = PrefixLinearParams

    @classmethod
    def fit(cls, examples: Examples, params: PrefixLinearParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.item_models import require_dense
        from rung.training.recommendation.popularity import learned
        from rung.training.recommendation.tuning import prefix_linear

        require_dense(examples, context, "prefix_linear")
        found = learned(examples, context)
        scorer, ridge = prefix_linear(found.people, params.ridge, params.rank)
        return cls(found.shelf, scorer, found.facts | {"ridge": ridge, "rank": params.rank})

    @classmethod
    def cost(cls, facts: DataFacts, params: PrefixLinearParams, context: FitContext) -> Cost:
        return Cost(6.0 + facts.rows * 4e-3, 0.22, 100.0, 0.8)
