"""Check for rows without a group: each counts as a group of its own, although it may belong to one that trains."""

from __future__ import annotations

from rung.data.profile.finding import Finding, Level
from rung.data.profile.view import View

KINDS: frozenset[str] = frozenset()
TARGETS = False
WHEN = "build"
# From this share on the certificate mostly speaks of rows whose group is unknown.
_STOPS = 0.05


def check(view: View) -> Finding | None:
    """Return the rows that train or certify and name no group."""
    column, choice = view.product.data.group, view.product.data.missing_group
    if not column:
        return None
    facts, groups = view.dataset.facts, view.dataset.facts["groups"]
    # Data prepared by version 0.1 has no such counts.
    train, certify = groups.get("ungrouped_train", 0), groups.get("ungrouped_certification", 0)
    empty, of = train + certify, facts["train"] + facts["certification"]
    if not empty:
        return None
    values = {
        "group": column,
        "share": f"{empty / of:.0%}",
        "certify": certify,
        "certification": facts["certification"],
    }
    level: Level = "warn" if choice == "own" or empty < _STOPS * of else "stop"
    return Finding("empty_groups", level, empty, of, values)
