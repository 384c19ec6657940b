"""Choices within a fit: strengths, and the steps of the cascade, each judged on people it was not learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.errors import FitCancelled
from rung.core.model import FitContext
from rung.modalities.recommendation.scorers import (
    Alike,
    ByLength,
    DenseSums,
    ItemSums,
    LowRank,
    Popular,
    Scorer,
)
from rung.training.recommendation.factors import als
from rung.training.recommendation.interactions import Floats, Interactions
from rung.training.recommendation.item_models import (
    MOST_DENSE_ITEMS,
    Beginnings,
    ease_weights,
    first_to_later,
    neighbours,
    sparse_of,
    transitions,
)
from rung.training.recommendation.judging import mean
from rung.training.recommendation.popularity import Learned, popular_scores
from rung.training.recommendation.steps import choose_bands

# With more items each try takes minutes, and the choice matters less than the time.
_TUNED_ITEMS = 4_000
_EASE_RIDGES, _EASE_DEFAULT = (100.0, 300.0, 1_000.0), 500.0
_PREFIX_RIDGES, _PREFIX_DEFAULT = (100.0, 300.0, 1_000.0), 300.0
_PREFIX_LENGTHS = (1, 2, 5, 10, 15, 20, 30)
_PRIORS = (0.1, 0.3, 1.0, 3.0, 10.0)
_KEPT = 0.15
# Parts that need a matrix of items by items.
_DENSE = frozenset({"prefix_linear", "ease"})


def best_ridge(people: Interactions, context: FitContext) -> float:
    """Return the strength of EASE that is best on people held out, at four fifths of what they did."""
    if len(people.catalogue) > _TUNED_ITEMS or len(people.people) < 10:
        return _EASE_DEFAULT
    learn, test = people.halves()
    cases, found = test.cases(()), {}
    for ridge in _EASE_RIDGES:
        if context.cancelled():
            raise FitCancelled
        scorer = DenseSums(ease_weights(learn, ridge), "ease")
        found[ridge] = mean(lambda m, s=scorer: s.scores(m)[1], cases, people.catalogue.available)  # type: ignore[misc]
    return max(found, key=lambda ridge: found[ridge])


def best_prefix_ridge(people: Interactions) -> float:
    """Return the strength of the map from first events to later ones that is best on people held out, for newcomers."""
    if len(people.catalogue) > _TUNED_ITEMS or len(people.people) < 10:
        return _PREFIX_DEFAULT
    learn, test = people.halves()
    cases, found = test.cases((1, 5, 10, 20), None), dict[float, float]()
    begun, allowed = Beginnings.of(learn, _PREFIX_LENGTHS), people.catalogue.available
    for ridge in _PREFIX_RIDGES:
        weights = begun.weights(ridge)
        base = begun.base - begun.mean @ weights
        found[ridge] = mean(lambda m, b=base, w=weights: b + w[m.items].sum(axis=0), cases, allowed)  # type: ignore[misc]
    return max(found, key=lambda ridge: found[ridge])


def prefix_linear(people: Interactions, ridge: float | None, rank: int) -> tuple[LowRank, float]:
    """Return the map from first events to later ones, and its strength, chosen on people held out where none is given."""
    chosen = best_prefix_ridge(people) if ridge is None else ridge
    return first_to_later(Beginnings.of(people, _PREFIX_LENGTHS), chosen, rank, "prefix_linear"), chosen


def alike(vectors: npt.NDArray[np.float32], found: Learned, prior: float | None) -> tuple[Alike, float]:
    """Return likeness of content and popularity together, their weight chosen on people held out where none is given."""
    if prior is None:
        learn, test = found.people.halves()
        cases, tried = test.cases((1, 5, 10, 20)), {}
        popular = popular_scores(learn, found.facts["half_life_days"])
        for wish in _PRIORS:
            scorer = Alike(vectors, popular, wish, "content")
            tried[wish] = mean(lambda m, s=scorer: s.scores(m)[1], cases, found.people.catalogue.available)  # type: ignore[misc]
        prior = max(tried, key=lambda wish: tried[wish])
    return Alike(vectors, found.shelf.popular, prior, "content"), prior


def by_length(
    found: Learned, steps: Sequence[str], context: FitContext
) -> tuple[ByLength, list[dict[str, Any]]]:
    """Return the cascade, fitted on all people, and what each band of lengths showed on people held out.

    Steps that need a matrix of items by items are left out where that would be too large.
    """
    small = len(found.people.catalogue) <= MOST_DENSE_ITEMS
    usable = [step for step in steps if small or _DENSE.isdisjoint(step.split("+"))] or ["popularity"]
    learn, test = found.people.halves()
    names = list(dict.fromkeys(part for step in usable for part in step.split("+")))
    strengths = _strengths(names, found.people, context)
    popular = popular_scores(learn, found.facts["half_life_days"])
    tried = {name: _part(name, learn, popular, strengths, context) for name in names}
    bands, told = choose_bands(tried, usable, test.cases(), found.people)
    del tried
    wanted = dict.fromkeys(part for _, step in bands for part in step.split("+"))
    parts = {name: _part(name, found.people, found.shelf.popular, strengths, context) for name in wanted}
    return ByLength(parts, bands), told


def _strengths(names: Sequence[str], people: Interactions, context: FitContext) -> dict[str, float]:
    """Return the penalty of each step that has one, chosen within the people learned from."""
    learn, _ = people.halves()
    found = {}
    if "ease" in names:
        found["ease"] = best_ridge(learn, context)
    if "prefix_linear" in names:
        found["prefix_linear"] = best_prefix_ridge(learn)
    return found


def _part(
    name: str, people: Interactions, popular: Floats, strengths: dict[str, float], context: FitContext
) -> Scorer:
    prior = 1e-6 / max(float(popular.max(initial=0.0)), 1e-9)
    if name == "markov":
        return ItemSums(transitions(people, 10, 0.9, 200), popular, name, 20, 0.9, prior)
    if name == "item_neighbours":
        return ItemSums(neighbours(people, 100, 20.0), popular, name, prior=prior)
    if name == "prefix_linear":
        return first_to_later(Beginnings.of(people, _PREFIX_LENGTHS), strengths[name], 96, name)
    if name == "als":
        return als(people, min(32, max(len(people.catalogue) // 2, 1)), 30.0, 10.0, 12, context)
    if name == "ease":
        return ItemSums(sparse_of(ease_weights(people, strengths[name]), _KEPT), popular, name)
    return Popular(popular)
