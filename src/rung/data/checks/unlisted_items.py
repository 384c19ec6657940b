"""Check for events with items that the table of items does not have: sold out long ago, or ids written in another way."""

from __future__ import annotations

from rung.data.prepare.side_tables import side_tables
from rung.data.profile.finding import Finding
from rung.data.profile.view import View
from rung.modalities.recommendation.catalogue import read_items
from rung.modalities.recommendation.events import items_of

KINDS = frozenset({"history"})
TARGETS = False
WHEN = "build"
_LEAST_SHARE = 0.01


def check(view: View) -> Finding | None:
    """Return how many events of training users have an item that is not in the table, and whether zeros explain it."""
    table = side_tables(view.dataset).get("items")
    if table is None:
        return None
    known = {item.id for item in read_items(table)}
    rows = view.train
    items = [
        item for column in (rows.inputs["history"], rows.targets) for own in column for item in items_of(own)
    ]
    unlisted = [item for item in items if item not in known]
    if len(unlisted) < _LEAST_SHARE * len(items) or not items:
        return None
    bare = {item.lstrip("0") or "0" for item in known}
    as_numbers = sum((item.lstrip("0") or "0") in bare for item in unlisted)
    share = round(len(unlisted) / len(items), 3)
    names = ", ".join(sorted(set(unlisted))[:5])
    values = {"share": share, "examples": names, "zeros": as_numbers}
    level = "warn" if share >= 0.2 or as_numbers else "info"
    return Finding("unlisted_items", level, len(unlisted), len(items), values)  # type: ignore[arg-type]
