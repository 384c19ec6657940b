"""Baseline: the same popular items for everyone, those of the history aside."""

from __future__ import annotations

from typing import Any, Self

from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.recommender import Recommender
from rung.modalities.recommendation.scorers import Popular


class Popularity(Recommender):
    """Use it as a baseline, and for newcomers: recent events count more where that is better."""

    @classmethod
    def fit(cls, examples: Examples, params: Any, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.popularity import learned

        found = learned(examples, context)
        return cls(found.shelf, Popular(found.shelf.popular), found.facts)

    @classmethod
    def cost(cls, facts: DataFacts, params: Any, context: FitContext) -> Cost:
        return Cost(0.5 + facts.rows * 1e-3, 0.1, 60.0, 0.2)
