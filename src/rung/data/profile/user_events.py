"""The events of training users as checks look at them: each user once, however many rows tell of them."""

from __future__ import annotations

from rung.core.types import Examples


def user_events(rows: Examples) -> list[tuple[str, float | None]]:
    """Return (item, seconds since 1970 or None) of each event of the users of these rows."""
    first: dict[str, int] = {}
    for row, unit in enumerate(rows.units):
        first.setdefault(unit, row)
    return [
        (event, None) if isinstance(event, str) else (event[0], event[1])
        for row in first.values()
        for event in (*rows.inputs["history"][row], *rows.targets[row])
    ]
