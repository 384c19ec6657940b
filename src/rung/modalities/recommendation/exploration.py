"""Lists drawn by a random rule that is known, so that what another model would have earned can be told from what was clicked.

The rule. A model gives its best `among` items for a request, as rules and wishes allow them, pinned ones first. With probability
`share` the places after the pinned ones are filled with a random order of these items, every order equally likely; else with the best ones
in their order. So an item that is one of the m candidates stands at a place that is not pinned with probability

    share / m                       if it is not the model's own item for that place,
    1 - share + share / m           if it is,

and a pinned one at its own with probability 1. These are propensities: they follow from the request, the model and the rule alone, never
from the draw. Any part of a list that keeps to `most_per_category` as a whole keeps to it, too.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rung.core.task import Exploration
from rung.core.types import Prediction

# Of a prediction: entries that have one value for each item of the list.
_PER_ITEM = ("scores", "shown", "because")
_DIGITS = 9


@dataclass(frozen=True)
class Drawn:
    """places: of the list in the order of the candidates. propensities: of each. explored: by a random order."""

    places: tuple[int, ...]
    propensities: tuple[float, ...]
    explored: bool


def draw(candidates: int, pinned: int, k: int, rule: Exploration, number: str) -> Drawn:
    """Return which of the candidates make the list, in order. number: of the draw, as hex digits; the same one draws the same list."""
    dice = random.Random(number)  # noqa: S311 - the draw is published, not secret
    explored = dice.random() < rule.share
    k, free = min(k, candidates), list(range(pinned, candidates))
    places = list(range(k))
    if explored:
        places = [*range(min(pinned, k)), *dice.sample(free, max(k - pinned, 0))]
    any_place = rule.share / len(free) if free else 0.0

    def propensity(place: int, item: int) -> float:
        return 1.0 if place < pinned else any_place + (1.0 - rule.share if item == place else 0.0)

    found = tuple(round(propensity(place, item), _DIGITS) for place, item in enumerate(places))
    return Drawn(tuple(places), found, explored)


def explored_list(answer: Prediction, k: int, rule: Exploration, number: str) -> Prediction:
    """Return the list of k items drawn from an answer of candidates, with its propensities and the number of the draw."""
    found = draw(len(answer.value), answer.extra["pinned"], k, rule, number)
    extra = {
        key: _taken(value, found.places) if key in _PER_ITEM else value for key, value in answer.extra.items()
    }
    extra |= {
        "propensities": list(found.propensities),
        "exploration": {
            "explored": found.explored,
            "share": rule.share,
            "among": len(answer.value) - answer.extra["pinned"],
            "draw": number,
        },
    }
    return replace(answer, value=_taken(answer.value, found.places), extra=extra)


def _taken(values: Sequence[Any], places: Sequence[int]) -> list[Any]:
    return [values[place] for place in places]
