"""What is popular, tuned as carefully as the rest: over all time, or weighted towards the latest events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.core.model import FitContext
from rung.core.types import Examples
from rung.modalities.recommendation.recommender import Shelf
from rung.modalities.recommendation.wishes import Wishes
from rung.training.recommendation.exposure import corrected
from rung.training.recommendation.interactions import Floats, Interactions, interactions
from rung.training.recommendation.judging import mean
from rung.training.recommendation.segments import best_segments

_DAY = 86_400.0
# Half-lives in days of an event's weight; 0: all events count alike.
_HALF_LIVES = (0.0, 7.0, 30.0, 90.0, 365.0)


@dataclass(frozen=True)
class Learned:
    """What every rung begins with. people: all training people; facts: what was chosen of popularity."""

    people: Interactions
    shelf: Shelf
    facts: dict[str, Any]


def learned(examples: Examples, context: FitContext) -> Learned:
    """Return the people, the items and what is popular among them."""
    people = interactions(examples, context)
    half_life = _half_life(people)
    popular = popular_scores(people, half_life)
    learn, _ = people.halves()
    popular, correction = corrected(
        people, popular_scores(learn, half_life), popular, context.tables.get("impressions")
    )
    counts = people.counts
    spec = context.options.get("recommend", {})
    wishes = Wishes.from_dict({k: v for k, v in spec.get("ranking", {}).items() if v is not None})
    wishes = wishes.changed({"seen": spec["seen"]} if spec.get("seen") else None)
    segments = best_segments(people, lambda some: popular_scores(some, half_life))
    shelf = Shelf(people.catalogue, popular, counts / max(counts.sum(), 1.0), wishes, segments)
    facts: dict[str, Any] = {"people": len(people.people), "half_life_days": half_life}
    facts |= {"exposure": correction} if correction else {}
    facts |= {"segment": segments.column} if segments is not None else {}
    return Learned(people, shelf, facts)


def popular_scores(people: Interactions, half_life: float) -> Floats:
    """Return a score of each item: people who had it, each weighted by how long before the last event that was."""
    times = np.concatenate([person.times for person in people.people]) if people.people else np.zeros(0)
    if not half_life or not len(times) or np.isnan(times).all():
        return people.counts
    items = np.concatenate([person.items for person in people.people])
    age = np.nan_to_num(np.nanmax(times) - times, nan=np.nanmax(times) - np.nanmin(times)) / _DAY
    # A little of all time settles the order of items that nobody had lately.
    return np.bincount(items, np.exp2(-age / half_life), len(people.catalogue)) + 1e-6 * people.counts


def _half_life(people: Interactions) -> float:
    """Return the half-life that is best on people held out; 0 where events have no times."""
    if not people.people or all(np.isnan(person.times).all() for person in people.people):
        return 0.0
    learn, test = people.halves()
    cases, allowed = test.cases((1, 5, 10, 20)), people.catalogue.available
    found = {}
    for half_life in _HALF_LIVES:
        scores = popular_scores(learn, half_life)
        found[half_life] = mean(lambda moment, scores=scores: scores, cases, allowed)  # type: ignore[misc]
    return max(found, key=lambda half_life: (found[half_life], -half_life))
