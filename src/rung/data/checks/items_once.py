"""Check for items that a single event is known of: no model learns what goes with them."""

from __future__ import annotations

from collections import Counter

from rung.data.profile.finding import Finding
from rung.data.profile.user_events import user_events
from rung.data.profile.view import View

KINDS = frozenset({"history"})
TARGETS = False
WHEN = "build"
_LEAST_SHARE, _FEWEST_ITEMS = 0.3, 20


def check(view: View) -> Finding | None:
    """Return how many items of training users have one event alone, where those are many."""
    counts = Counter(item for item, _ in user_events(view.train))
    once = sorted(item for item, n in counts.items() if n == 1)
    if len(counts) < _FEWEST_ITEMS or len(once) < _LEAST_SHARE * len(counts):
        return None
    return Finding("items_once", "info", len(once), len(counts), {"examples": ", ".join(once[:5])})
