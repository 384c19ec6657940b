"""EASE: a linear autoencoder with an empty diagonal, whole or with its strongest weights alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.recommender import Recommender
from rung.modalities.recommendation.scorers import DenseSums, ItemSums, Scorer


@dataclass(frozen=True)
class EaseParams:
    """Parameters. ridge: strength of the penalty; None chooses it on people held out. form: all weights, or the strongest.
    kept: share of the weights that the sparse form keeps; each takes 4 bytes, like one of the dense form.
    """

    ridge: float | None = None
    form: Literal["sparse", "dense"] = "sparse"
    kept: float = 0.15


class Ease(Recommender):
    """Use it for long histories: strong where users have some tens of events, up to 20,000 items."""

    Params = EaseParams
    VARIANTS = {"dense": {"form": "dense"}}

    @classmethod
    def unavailable(cls, facts: DataFacts, params: EaseParams, context: FitContext) -> RungError | None:
        if not 0.0 < params.kept <= 1.0:
            return RungError(f"`kept` is {params.kept}", "params.kept", "Use a share above 0, up to 1.")
        return None

    @classmethod
    def fit(cls, examples: Examples, params: EaseParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.item_models import ease_weights, require_dense, sparse_of
        from rung.training.recommendation.popularity import learned
        from rung.training.recommendation.tuning import best_ridge

        require_dense(examples, context, "ease")
        found = learned(examples, context)
        ridge = params.ridge if params.ridge is not None else best_ridge(found.people, context)
        weights = ease_weights(found.people, ridge)
        scorer: Scorer = DenseSums(weights, "ease")
        if params.form == "sparse":
            scorer = ItemSums(sparse_of(weights, params.kept), found.shelf.popular, "ease")
        return cls(found.shelf, scorer, found.facts | {"ridge": ridge, "form": params.form})

    @classmethod
    def cost(cls, facts: DataFacts, params: EaseParams, context: FitContext) -> Cost:
        dense = params.form == "dense"
        return Cost(4.0 + facts.rows * 3e-3, 0.3 if dense else 0.2, 120.0, 12.0 if dense else 2.2)
