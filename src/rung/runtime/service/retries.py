"""When to ask a service again: which replies may pass, and how long to wait."""

from __future__ import annotations

import random
import time
from email.utils import parsedate_to_datetime

# Too many requests, and what a server or a proxy says of a moment.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_WAIT_S = 60.0


def pause_s(turn: int, retry_after: str | None, first_s: float) -> float:
    """Return how long to wait after the turn-th try (from 1), in seconds.

    What `Retry-After` says, at most a minute; else full jitter below a bound that doubles from `first_s` on.
    """
    asked = retry_after_s(retry_after)
    if asked is not None:
        return min(asked, LONGEST_WAIT_S)
    return random.uniform(0.0, min(first_s * 2**turn, LONGEST_WAIT_S))


def retry_after_s(header: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which holds a number or a date; None where it says neither."""
    if not header:
        return None
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None
