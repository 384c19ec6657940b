"""Items like those of the history by what they are: words and categories. It knows items that nobody had yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.errors import RungError
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.recommender import Recommender


@dataclass(frozen=True)
class ContentParams:
    """Parameters. prior: weight of what is popular against likeness; None chooses it on people held out."""

    prior: float | None = None


class Content(Recommender):
    """Use it where many items are new: it suggests what nobody had yet, by its words and categories."""

    Params = ContentParams

    @classmethod
    def unavailable(cls, facts: DataFacts, params: ContentParams, context: FitContext) -> RungError | None:
        if context.options.get("recommend") and not context.options["recommend"].get("items"):
            fix = "Name a table of items with titles or categories: `recommend: {items: {path: items.csv, title: title}}`."
            return RungError("nothing is known of the items but their ids", "recommend.items", fix)
        return None

    @classmethod
    def fit(cls, examples: Examples, params: ContentParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.content import content_vectors
        from rung.training.recommendation.popularity import learned
        from rung.training.recommendation.tuning import alike

        found = learned(examples, context)
        vectors, how = content_vectors(found.people.catalogue, context)
        scorer, prior = alike(vectors, found, params.prior)
        return cls(found.shelf, scorer, found.facts | {"words": how, "prior": prior})

    @classmethod
    def cost(cls, facts: DataFacts, params: ContentParams, context: FitContext) -> Cost:
        return Cost(3.0 + facts.rows * 2e-3, 0.25, 150.0, 0.6)
