"""Check for tastes that change: what is popular late in the data is not what was popular early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rung.data.profile.finding import Finding
from rung.data.profile.user_events import user_events
from rung.data.profile.view import View

KINDS = frozenset({"history"})
TARGETS = False
WHEN = "build"
_TOP, _FEWEST_EVENTS = 20, 1_000
# With a smaller share of what chance leaves in common, a list of all time is yesterday's.
_LEAST_SHARED = 0.5


def check(view: View) -> Finding | None:
    """Return how many of the most popular items of the last fifth of events were among those of the first four fifths."""
    timed = [(when, item) for item, when in user_events(view.train) if when is not None]
    if len(timed) < _FEWEST_EVENTS or len({item for _, item in timed}) < 2 * _TOP:
        return None
    cut = float(np.quantile([when for when, _ in timed], 0.8))
    late = np.array([when >= cut for when, _ in timed])
    items = [item for _, item in timed]
    best, before = _favourites(items, late), _favourites(items, ~late)
    shared = len(best & before)
    # Favourites of few events differ by chance alone: as many events drawn at random say by how much.
    drawn = np.random.default_rng(0).permutation(late)
    if shared >= _LEAST_SHARED * len(_favourites(items, drawn) & _favourites(items, ~drawn)):
        return None
    values = {"shared": shared, "top": _TOP, "examples": ", ".join(sorted(best - before)[:5])}
    return Finding("popularity_drift", "info", _TOP - shared, _TOP, values)


def _favourites(items: Sequence[str], among: npt.NDArray[np.bool_]) -> set[str]:
    counts = Counter(item for item, taken in zip(items, among.tolist(), strict=True) if taken)
    return {item for item, _ in counts.most_common(_TOP)}
