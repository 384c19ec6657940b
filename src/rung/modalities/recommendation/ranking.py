"""From scores to a list: what must not stand in it, what must, and how varied it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rung.modalities.recommendation.catalogue import Catalogue
from rung.modalities.recommendation.wishes import Wishes

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
# Candidates that rules choose from, as a multiple of the list.
_POOL = 20
# With more categories, only those of the list are looked at.
_MOST_WIDE = 1_000


def allowed_items(
    catalogue: Catalogue, wishes: Wishes, seen: npt.NDArray[np.int64], excluded: Sequence[int]
) -> Bools:
    """Return which items may stand in the list."""
    allowed = catalogue.available.copy() if catalogue.has_unavailable else np.ones(len(catalogue), bool)
    if wishes.seen == "leave_out":
        allowed[seen] = False
    if len(excluded):
        allowed[list(excluded)] = False
    if wishes.block:
        blocked = [place for name in wishes.block if (place := catalogue.place.get(name)) is not None]
        allowed[blocked] = False
    if wishes.categories:
        allowed &= catalogue.of_categories(wishes.categories)
    if wishes.without:
        allowed &= ~catalogue.of_categories(wishes.without)
    if wishes.most_price is not None:
        allowed &= catalogue.at_most(wishes.most_price)
    return allowed


def ranked(scores: Floats, allowed: Bools, k: int) -> list[int]:
    """Return the k best allowed items, best first; of equal scores the earlier item."""
    places = np.flatnonzero(allowed)
    if not len(places) or k < 1:
        return []
    # Negative, so that the k-th is found near the front: many equal scores at the end make a partition there slow.
    found = -scores[places]
    if len(places) > k:
        # All that reach the k-th score, so that ties are settled by place and not by the partition.
        keep = found <= np.partition(found, k - 1)[k - 1]
        places, found = places[keep], found[keep]
    best: list[int] = places[np.argsort(found, kind="stable")][:k].tolist()
    return best


def fresher(scores: Floats, allowed: Bools, catalogue: Catalogue, wishes: Wishes) -> Floats:
    """Return scores weighed against being new, both on a scale of 0 to 1 over the allowed items; as they are where nothing is wished."""
    if not wishes.freshness or not allowed.any():
        return scores
    own = scores[allowed]
    low, high = float(own.min()), float(own.max())
    shares = ((scores - low) / max(high - low, 1e-12)).clip(0.0, 1.0)
    return (1.0 - wishes.freshness) * shares + wishes.freshness * catalogue.newness(wishes.fresh_days)


def arranged(scores: Floats, allowed: Bools, k: int, catalogue: Catalogue, wishes: Wishes) -> list[int]:
    """Return the k items of the list as the wishes have it: pinned ones first, then by score and variety."""
    pinned = [
        place for name in wishes.pin if (place := catalogue.place.get(name)) is not None and allowed[place]
    ]
    pinned = list(dict.fromkeys(pinned))[:k]
    if not (wishes.diversity or wishes.most_per_category):
        rest = ranked(scores, _without(allowed, pinned), k - len(pinned))
        return [*pinned, *rest]
    # A share per category may need more than the pool: then all items are candidates.
    pool = ranked(scores, _without(allowed, pinned), k * _POOL)
    found = _chosen(scores, pool, pinned, k, catalogue, wishes)
    if len(found) < k and int(allowed.sum()) > len(pool) + len(pinned):
        pool = ranked(scores, _without(allowed, pinned), len(catalogue))
        found = _chosen(scores, pool, pinned, k, catalogue, wishes)
    return found


def _chosen(
    scores: Floats, pool: Sequence[int], pinned: Sequence[int], k: int, catalogue: Catalogue, wishes: Wishes
) -> list[int]:
    """Return the list, chosen item by item: score against likeness to the items above (Carbonell & Goldstein 1998)."""
    found, per_category = list(pinned), Counter[str]()
    for place in found:
        per_category.update(catalogue.items[place].categories)
    values = scores[list(pool)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    value = dict(zip(pool, ((values - low) / max(high - low, 1e-12)).tolist(), strict=True))
    likest = {
        place: max((likeness(catalogue, place, above) for above in found), default=0.0) for place in pool
    }
    left, weight = list(pool), wishes.diversity
    while left and len(found) < k:
        most = wishes.most_per_category
        fits = [
            p for p in left if not most or all(per_category[c] < most for c in catalogue.items[p].categories)
        ]
        if not fits:
            break
        best = max(fits, key=lambda p: (1.0 - weight) * value[p] - weight * likest[p])
        found.append(best)
        left.remove(best)
        per_category.update(catalogue.items[best].categories)
        if weight:
            for place in left:
                likest[place] = max(likest[place], likeness(catalogue, place, best))
    return found


def likeness(catalogue: Catalogue, one: int, other: int) -> float:
    """Return what share of their categories two items have in common, in [0, 1]; 0 where one has none."""
    a, b = set(catalogue.items[one].categories), set(catalogue.items[other].categories)
    return len(a & b) / len(a | b) if a and b else 0.0


def variety(catalogue: Catalogue, items: Sequence[int]) -> float:
    """Return how unlike each other the items of a list are, on average over its pairs; 0 for fewer than two."""
    count = len(items)
    if count < 2:
        return 0.0
    numbers, sizes = catalogue.category_numbers(np.asarray(items, np.int64))
    width = len(catalogue.categories)
    if width > _MOST_WIDE:
        known, numbers = np.unique(numbers, return_inverse=True)
        width = len(known)
    marks = np.zeros((count, width))
    marks[np.repeat(np.arange(count), sizes), numbers] = 1.0
    both = marks @ marks.T
    alike = both / np.maximum(sizes[:, None] + sizes[None] - both, 1.0)
    return 1.0 - float((alike.sum() - alike.trace()) / (count * (count - 1)))


def _without(allowed: Bools, places: Sequence[int]) -> Bools:
    if not places:
        return allowed
    found = allowed.copy()
    found[list(places)] = False
    return found
