"""A user's interests as their history shows them: shares of categories, early and late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rung.modalities.recommendation.catalogue import Catalogue

_SHOWN = 8
# With fewer events nothing is early or late.
_FEWEST = 8


def portrait(catalogue: Catalogue, places: Sequence[int], weights: Sequence[float]) -> dict[str, Any]:
    """Return what a history says of interests, for people: {} where no item has a category.

    events: known ones. interests: category, its share of all events (an item of two categories counts half for each),
    and `lately`, its share among the later half; strongest first.
    """
    shares = _shares(catalogue, places, weights)
    if not shares:
        return {}
    half = len(places) // 2
    late = _shares(catalogue, places[half:], weights[half:]) if len(places) >= _FEWEST else {}
    strongest = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN]
    interests = [
        {"category": name, "share": round(share, 4)}
        | ({"lately": round(late.get(name, 0.0), 4)} if late else {})
        for name, share in strongest
    ]
    return {"events": len(places), "interests": interests}


def _shares(catalogue: Catalogue, places: Sequence[int], weights: Sequence[float]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for place, weight in zip(places, weights, strict=True):
        categories = catalogue.items[place].categories
        for name in categories:
            counts[name] += max(weight, 0.0) / len(categories)  # type: ignore[assignment]
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total > 0 else {}
