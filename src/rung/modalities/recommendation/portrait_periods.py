"""How a user's interests change over the time of their history: shares of categories, period by period."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rung.modalities.recommendation.catalogue import Catalogue

_PERIODS, _FEWEST = 5, 4


def periods(catalogue: Catalogue, history: Sequence[Any]) -> list[dict[str, Any]]:
    """Return up to five parts of a history with as many known events each, the oldest first; [] where its events have no times.

    from, to: the days of its first and last event, in UTC, with hour and minute where all events are of one day. events: how many. shares: category -> its share of the part, as in a portrait.
    """
    known = [
        (event[1], catalogue.items[place].categories, max(float(event[2]), 0.0))
        for event in history
        if not isinstance(event, str) and (place := catalogue.place.get(event[0])) is not None
    ]
    if len(known) < 2 * _FEWEST or any(when is None for when, _, _ in known):
        return []
    known.sort(key=lambda event: event[0])
    if known[0][0] == known[-1][0]:
        return []
    count = min(_PERIODS, len(known) // _FEWEST)
    edges = [len(known) * number // count for number in range(count + 1)]
    # Within one day the hour tells periods apart.
    chars = 16 if _moment(known[0][0])[:10] == _moment(known[-1][0])[:10] else 10
    return [_period(known[begin:end], chars) for begin, end in zip(edges, edges[1:], strict=False)]


def _period(events: Sequence[tuple[float, Sequence[str], float]], chars: int) -> dict[str, Any]:
    weights: Counter[str] = Counter()
    for _, categories, weight in events:
        for name in categories:
            weights[name] += weight / len(categories)  # type: ignore[assignment]
    total = sum(weights.values())
    shares = {name: round(weight / total, 4) for name, weight in sorted(weights.items())} if total else {}
    first, last = (_moment(event[0])[:chars] for event in (events[0], events[-1]))
    return {"from": first, "to": last, "events": len(events), "shares": shares}


def _moment(when: float) -> str:
    """Return a moment as day, hour and minute; as a number where it is no time of a calendar."""
    try:
        return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return f"{when:g}"
