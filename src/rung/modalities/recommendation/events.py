"""Events of a user as plain values: what may be sent, and the one form in which models get it.

An event is (item, time, weight): the item's id as text, seconds since 1970 or None, and how much it says, 1.0 where
nothing is known. A history is a list of events, oldest first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

Event = tuple[str, float | None, float]
# Events of one history, and characters of an id.
MAX_EVENTS = 100_000
MAX_ID_CHARS = 500
_KEYS = ("item", "time", "weight")


def item_id(value: Any) -> str:
    """Return an id as text, "" for none. "007" stays "007"; the number 7 is "7". Raises ValueError for what is no id."""
    if value is None:
        return ""
    if isinstance(value, str):
        text = normalize("NFC", value.strip())
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a {type(value).__name__} is no id of an item")
    elif isinstance(value, float):
        if not math.isfinite(value):
            return ""
        text = str(int(value)) if value.is_integer() else repr(value)
    else:
        text = str(value)
    if len(text) > MAX_ID_CHARS:
        raise ValueError(f"an id has {len(text):,} characters; at most {MAX_ID_CHARS} are read")
    return text


def events_of(value: Any) -> list[Event]:
    """Return a history as it is sent: ids, [item, time, weight] or {"item", "time", "weight"}; events with times in their order.

    Events without a time keep their places; where all have one, the oldest comes first. Raises ValueError, with the place.
    """
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of items or events, not {type(value).__name__}")
    if len(value) > MAX_EVENTS:
        raise ValueError(f"has {len(value):,} events; at most {MAX_EVENTS:,} are read")
    found = [_event(raw, place) for place, raw in enumerate(value)]
    if found and all(time is not None for _, time, _ in found):
        found.sort(key=lambda event: event[1] or 0.0)
    return found


def items_of(value: Any) -> list[str]:
    """Return the ids of events, of suggestions or of plain ids, in order."""
    if value is None:
        return []
    return [
        raw if isinstance(raw, str) else item_id(raw["item"] if isinstance(raw, Mapping) else raw[0])
        for raw in value
    ]


def _event(raw: Any, place: int) -> Event:
    if isinstance(raw, str | int | float) and not isinstance(raw, bool):
        item, time, weight = raw, None, 1.0
    elif isinstance(raw, Mapping):
        unknown = [key for key in raw if key not in _KEYS]
        if unknown or "item" not in raw:
            what = f"has the unknown key '{str(unknown[0])[:40]}'" if unknown else "has no 'item'"
            raise ValueError(f"event {place} {what}")
        item, time, weight = raw["item"], raw.get("time"), raw.get("weight", 1.0)
    elif isinstance(raw, Sequence) and 1 <= len(raw) <= 3:
        item, time = raw[0], raw[1] if len(raw) > 1 else None
        weight = raw[2] if len(raw) > 2 else 1.0
    else:
        raise ValueError(f"event {place} is neither an id nor [item, time, weight] nor an object")
    try:
        text = item_id(item)
    except ValueError as error:
        raise ValueError(f"event {place}: {error}") from None
    if not text:
        raise ValueError(f"event {place} has no item")
    return text, _time(time, place), _weight(weight, place)


def _time(raw: Any, place: int) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, str):
        try:
            when = datetime.fromisoformat(raw)
        except ValueError:
            raise ValueError(
                f"event {place} has the time '{raw[:40]}', which is neither ISO 8601 nor a number"
            ) from None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise ValueError(f"event {place} has a time that is neither ISO 8601 nor a number of seconds")
    return float(raw)


def _weight(raw: Any, place: int) -> float:
    if raw is None:
        return 1.0
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise ValueError(f"event {place} has a weight that is no number")
    return float(raw)
