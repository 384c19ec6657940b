"""Check for training rows that were mostly removed as near duplicates of rows that certify."""

from __future__ import annotations

from rung.data.profile.finding import Finding
from rung.data.profile.view import View

KINDS: frozenset[str] = frozenset()
TARGETS = False
WHEN = "build"
# Below this share of the rows that could train, what is lost matters less than what the split protects.
_LEAST_SHARE = 0.2


def check(view: View) -> Finding | None:
    """Return how many rows were removed from training, where they are many; the rows themselves are in the quarantine."""
    removed = view.dataset.facts["quarantined"].get("near_duplicate", 0)
    could = removed + view.dataset.facts["train"]
    if removed < _LEAST_SHARE * could:
        return None
    values = {"train": view.dataset.facts["train"], "share": round(removed / could, 3)}
    return Finding("starved_training", "warn", removed, could, values, ())
