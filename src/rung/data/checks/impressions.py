"""Check of what was shown: rows that cannot be used, and how clicks fall with the place."""

from __future__ import annotations

from rung.data.prepare.side_tables import side_tables
from rung.data.profile.finding import Finding
from rung.data.profile.view import View
from rung.modalities.recommendation.impressions import Shown

KINDS = frozenset({"history"})
TARGETS = False
WHEN = "build"
_SHOWN_PLACES = 5
_WARNED_SHARE = 0.05


def check(view: View) -> Finding | None:
    """Return how many impressions can be used, and the click-through of the first places."""
    table = side_tables(view.dataset).get("impressions")
    if table is None:
        return None
    found = Shown.load(table)
    used, lost = sum(found.shown.values()), sum(found.left_out.values())
    places = list(found.by_position().items())[:_SHOWN_PLACES]
    rates = ", ".join(f"{place}: {clicked / shown:.2%}" for place, (shown, clicked) in places)
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(found.left_out.items())) or "-"
    numbers = {"shown": used, "rates": rates, "reasons": reasons, "propensities": found.propensities}
    level = "warn" if lost > _WARNED_SHARE * (used + lost) else "info"
    return Finding("impressions", level, lost, used + lost, numbers)  # type: ignore[arg-type]
