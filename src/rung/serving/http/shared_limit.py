"""Rate limits that several servers share: each leases a few requests at a time from one bucket per key in the database."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from rung.core.logs import log
from rung.serving.http.api_keys import RateLimit

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Of the bucket, which holds a tenth of a minute's requests, a server takes so much at a time.
_SHARE = 8
_NOW = "EXTRACT(EPOCH FROM clock_timestamp())"


class SharedRateLimit(RateLimit):
    """A token bucket per API key for all servers together.

    Over any time they let through what one bucket would, and what they have leased and not used, an eighth of the bucket each.
    Without the database each server keeps the whole limit by itself: a key is never refused for that.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._leased: dict[str, int] = {}
        # Until when a key has none, by this server's clock: who is refused must not load the database.
        self._empty: dict[str, float] = {}
        self._leasing = threading.Lock()
        self._problem = ""

    def acquire(self, key_id: str, per_minute: int) -> float | None:
        left = self._leased.get(key_id, 0)
        if left > 0:
            self._leased[key_id] = left - 1
            return 0.0
        wait = self._empty.get(key_id, 0.0) - self._clock()
        return wait if wait > 0 else None

    def lease(self, key_id: str, per_minute: int) -> float:
        with self._leasing:
            found = self.acquire(key_id, per_minute)
            if found is not None:
                return found
            try:
                taken, wait = self._take(key_id, per_minute)
            except Exception as error:  # Whatever the driver raises: a limit must not stop a server.
                if not self._problem:
                    log("rate limits are not shared now", logging.ERROR, error=type(error).__name__)
                self._problem = type(error).__name__
                return super().acquire(key_id, per_minute) or 0.0
            self._problem = ""
            if not taken:
                self._empty[key_id] = self._clock() + wait
                return wait
            self._leased[key_id] = taken - 1
            return 0.0

    def _take(self, key_id: str, per_minute: int) -> tuple[int, float]:
        """Take some requests from the bucket; return how many, and the seconds until there is one."""
        from sqlalchemy import text

        capacity, rate = max(per_minute / 10, 1.0), per_minute / 60
        given: dict[str, Any] = {"key": key_id, "capacity": capacity, "rate": rate}
        with self._engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO rate_limits (key, tokens, at) "
                    f"VALUES (:key, CAST(:capacity AS float), {_NOW}) ON CONFLICT DO NOTHING"
                ),
                {"key": key_id, "capacity": capacity},
            )
            row = connection.execute(
                text(
                    "SELECT LEAST(CAST(:capacity AS float), tokens + GREATEST("
                    f"{_NOW} - at, 0) * CAST(:rate AS float)) AS tokens, {_NOW} AS now "
                    "FROM rate_limits WHERE key = :key FOR UPDATE"
                ),
                given,
            ).one()
            tokens = float(row.tokens)
            taken = min(int(tokens), max(int(capacity / _SHARE), 1))
            connection.execute(
                text("UPDATE rate_limits SET tokens = :tokens, at = :at WHERE key = :key"),
                {"key": key_id, "tokens": tokens - taken, "at": float(row.now)},
            )
        return taken, 0.0 if taken else (1.0 - tokens) / rate
