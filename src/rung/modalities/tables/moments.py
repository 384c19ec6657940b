"""The moments of a time column, in seconds since 1970."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from rung.core.scalars import to_plain
from rung.modalities.tables.dates import parse_date


def parse_time(raw: Any, form: str = "") -> float | None:
    """Return seconds since 1970 of a date or time, in UTC where it names no zone, or a number as it is; None for neither.

    form: "dmy" or "mdy", the order of day and month in dates such as 03/04/2024.
    """
    text = str(raw if type(raw) is str else to_plain(raw)).strip() if raw is not None else ""
    try:
        number = float(text)
        return number if math.isfinite(number) else None
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        found = parse_date(text, form)
        if found is None:
            return None
        when = datetime.fromisoformat(found)
    try:
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
