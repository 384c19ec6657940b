"""A user's interests as their history shows them: shares of categories, early and late."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rung.modalities.recommendation.catalogue import Catalogue

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SHOWN = 8
# With fewer events nothing is early or late.
_FEWEST = 8


def portrait(catalogue: Catalogue, places: Ints, weights: Floats) -> dict[str, Any]:
    """Return what a history says of interests, for people: {} where no item has a category.

    events: known ones. interests: category, its share of all events (an item of two categories counts half for each),
    and `lately`, its share among the later half; strongest first.
    """
    numbers, counts = catalogue.category_numbers(places)
    each = np.repeat(np.maximum(weights, 0.0) / np.maximum(counts, 1), counts)
    shares = _shares(catalogue, numbers, each)
    if shares is None:
        return {}
    early = int(counts[: len(places) // 2].sum())
    late = _shares(catalogue, numbers[early:], each[early:]) if len(places) >= _FEWEST else None
    # Categories are sorted by name, so equal shares stand in its order.
    strongest = np.argsort(-shares, kind="stable")[:_SHOWN]
    interests = [
        {"category": catalogue.categories[number], "share": round(float(shares[number]), 4)}
        | ({} if late is None else {"lately": round(float(late[number]), 4)})
        for number in strongest.tolist()
        if shares[number] > 0.0
    ]
    return {"events": len(places), "interests": interests}


def _shares(catalogue: Catalogue, numbers: Ints, weights: Floats) -> Floats | None:
    """Return the share of each category, [categories]; None where nothing counts."""
    found = np.bincount(numbers, weights, len(catalogue.categories))
    total = float(found.sum())
    return found / total if total > 0.0 else None
