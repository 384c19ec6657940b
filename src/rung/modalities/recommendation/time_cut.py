"""A cut in time through all users: what came before it is learned from, what came after it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from rung.core.types import Examples

_BEFORE = 0.8
_FEWEST_USERS = 20


def time_cut(rows: Examples) -> tuple[Examples, Examples, str] | None:
    """Return rows to learn from, rows to score on, and the day of the cut; None where events have no times.

    The cut lies where a fifth of all events come later. Each user counts once: learned from with all events before the cut,
    and asked, where there are some before and new items after, with those before as the history. No model sees a later
    event of anyone, as it would where whole users are held out.
    """
    first: dict[str, int] = {}
    for row, unit in enumerate(rows.units):
        first.setdefault(unit, row)
    events = {row: [*rows.inputs["history"][row], *rows.targets[row]] for row in first.values()}
    times = [event[1] for own in events.values() for event in own if not isinstance(event, str)]
    if not times or any(time is None for time in times):
        return None
    cut = float(np.quantile(np.array(times, np.float64), _BEFORE))
    before = {row: [event for event in own if event[1] < cut] for row, own in events.items()}
    after = {row: _new(own, before[row], cut) for row, own in events.items()}
    learn = [row for row, own in before.items() if own]
    asked = [row for row in learn if after[row]]
    if len(asked) < _FEWEST_USERS:
        return None
    day = datetime.fromtimestamp(cut, UTC).date().isoformat() if abs(cut) < 1e11 else f"{cut:g}"
    return _rows(rows, learn, before, {}), _rows(rows, asked, before, after), day


def _new(events: Sequence[Any], before: Sequence[Any], cut: float) -> list[Any]:
    seen = {event[0] for event in before}
    return [event for event in events if event[1] >= cut and event[0] not in seen]


def _rows(
    rows: Examples, places: Sequence[int], history: dict[int, list[Any]], later: dict[int, list[Any]]
) -> Examples:
    taken = rows.take(places)
    inputs = {**taken.inputs, "history": [history[row] for row in places]}
    return replace(taken, inputs=inputs, targets=[later.get(row, []) for row in places])
