"""Check for items that are no longer there: well liked for most of the time, and in no late event."""

from __future__ import annotations

from collections import Counter

import numpy as np

from rung.data.prepare.side_tables import side_tables
from rung.data.profile.finding import Finding
from rung.data.profile.user_events import user_events
from rung.data.profile.view import View
from rung.modalities.recommendation.catalogue import read_items

KINDS = frozenset({"history"})
TARGETS = False
WHEN = "build"
_FEWEST_EVENTS = 500
# Events that an item would have late if it went on as before; none of so many is no chance: exp(-8) an item.
_EXPECTED = 8.0


def check(view: View) -> Finding | None:
    """Return how many items had many events until four fifths of all, and none since, though nothing says that they are out of stock."""
    timed = [(when, item) for item, when in user_events(view.train) if when is not None]
    if len(timed) < _FEWEST_EVENTS:
        return None
    cut = float(np.quantile([when for when, _ in timed], 0.8))
    early = Counter(item for when, item in timed if when < cut)
    late = Counter(item for when, item in timed if when >= cut)
    ratio = sum(late.values()) / max(sum(early.values()), 1)
    table = side_tables(view.dataset).get("items")
    known_out = {item.id for item in read_items(table) if not item.available} if table is not None else set()
    gone = [
        item for item, n in early.most_common() if n * ratio >= _EXPECTED and item not in late and item not in known_out
    ]  # fmt: skip
    if not gone:
        return None
    return Finding("gone_items", "info", len(gone), len(early), {"examples": ", ".join(gone[:5])})
