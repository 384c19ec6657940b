"""Check for ids that differ by zeros in front alone: 007 here and 7 there are two items, and seldom mean to be."""

from __future__ import annotations

from collections import defaultdict

from rung.data.profile.finding import Finding
from rung.data.profile.user_events import user_events
from rung.data.profile.view import View

KINDS = frozenset({"history"})
TARGETS = False
WHEN = "build"


def check(view: View) -> Finding | None:
    """Return how many items have another of the same digits but for zeros in front."""
    spellings: dict[str, set[str]] = defaultdict(set)
    items = {item for item, _ in user_events(view.train)}
    for item in items:
        if item.isdigit():
            spellings[item.lstrip("0") or "0"].add(item)
    double = sorted(min(own, key=len) for own in spellings.values() if len(own) > 1)
    if not double:
        return None
    examples = ", ".join(" = ".join(sorted(spellings[name.lstrip("0") or "0"])) for name in double[:3])
    return Finding("ids_with_zeros", "warn", len(double), len(items), {"examples": examples})
