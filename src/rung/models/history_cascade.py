"""A step for each length of history: what is popular for the first events, then dearer steps where they are better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rung.core.errors import RungError, did_you_mean
from rung.core.model import Cost, DataFacts, FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.recommender import Recommender

_PARTS = ("popularity", "markov", "item_neighbours", "prefix_linear", "ease", "als")
_STEPS = (
    "popularity", "markov", "item_neighbours", "prefix_linear", "ease", "prefix_linear+item_neighbours", "prefix_linear+markov",
    "prefix_linear+markov+ease",
)  # fmt: skip


@dataclass(frozen=True)
class HistoryCascadeParams:
    """Parameters. steps: that may answer, the cheapest first: popularity, markov, item_neighbours, prefix_linear, ease, als, or
    several whose standardised scores are added, such as prefix_linear+markov.
    """

    steps: tuple[str, ...] = _STEPS


class HistoryCascade(Recommender):
    """Use it where users come with histories of every length: nobody gets a step that is worse than what is popular."""

    Params = HistoryCascadeParams

    @classmethod
    def unavailable(
        cls, facts: DataFacts, params: HistoryCascadeParams, context: FitContext
    ) -> RungError | None:
        wrong = next((part for step in params.steps for part in step.split("+") if part not in _PARTS), None)
        if wrong is not None:
            return RungError(f"'{wrong}' is no step", "params.steps", did_you_mean(str(wrong), _PARTS))
        if not params.steps or len(set(params.steps)) < len(params.steps):
            return RungError(
                "`steps` names none, or one twice", "params.steps", f"Choose among {', '.join(_PARTS)}."
            )
        return None

    @classmethod
    def fit(cls, examples: Examples, params: HistoryCascadeParams, context: FitContext) -> Self:
        cls.require()
        from rung.training.recommendation.popularity import learned
        from rung.training.recommendation.tuning import by_length

        found = learned(examples, context)
        scorer, bands = by_length(found, params.steps, context)
        return cls(found.shelf, scorer, found.facts | {"bands": bands})

    @classmethod
    def cost(cls, facts: DataFacts, params: HistoryCascadeParams, context: FitContext) -> Cost:
        return Cost(15.0 + facts.rows * 9e-3, 0.24, 140.0, 3.5)
