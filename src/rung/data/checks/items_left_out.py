"""Check for rows of the table of items that could not be used, and for pictures of items that could not."""

from __future__ import annotations

from rung.data.profile.finding import Finding
from rung.data.profile.view import View

KINDS = frozenset({"history"})
TARGETS = False
WHEN = "build"
_WARN_SHARE = 0.1


def check(view: View) -> Finding | None:
    """Return how many rows of the table and how many pictures are left out, by reason."""
    facts = view.dataset.facts.get("items") or {}
    rows, pictures = dict(facts.get("left_out", {})), dict(facts.get("no_picture", {}))
    count = sum(rows.values()) + sum(pictures.values())
    if not count:
        return None
    reasons = [f"{name} {number}" for name, number in {**rows, **pictures}.items() if number]
    level = "warn" if count > _WARN_SHARE * facts["items"] else "info"
    values = {"rows": sum(rows.values()), "pictures": sum(pictures.values()), "reasons": ", ".join(reasons)}
    return Finding("items_left_out", level, count, facts["items"], values)  # type: ignore[arg-type]
