"""The services a server needs besides its models: limits, keys, journal, metrics, prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.errors import RungError
from rung.core.prices import Prices, load_prices
from rung.core.spec.serve import ServeSpec
from rung.serving import audit_log
from rung.serving.http.access import Caller
from rung.serving.http.api_keys import KeyStore, RateLimit
from rung.serving.metrics import Metrics

if TYPE_CHECKING:
    from rung.journal.writer import Journal


@dataclass(frozen=True)
class Service:
    """keys: while there are none the server is in development mode, where every caller is an admin. journal: None for none.

    local_only: in development mode accept only requests with a loopback Host and no foreign Origin, which protects a
    server without keys from web pages in a local browser. watch: reload replaced bundles and run shadows.
    """

    limits: ServeSpec = ServeSpec()
    keys: KeyStore | None = None
    journal: Journal | None = None
    folder: Path | None = None
    local_only: bool = False
    watch: bool = False
    rate_limit: RateLimit = field(default_factory=RateLimit)
    metrics: Metrics = field(default_factory=Metrics)
    prices: Prices = field(default_factory=load_prices)

    def audit(self, caller: Caller, action: str, target: str, **facts: Any) -> None:
        """Write an action to the audit log, if there is a service folder."""
        if self.folder is not None:
            audit_log.record(self.folder, caller.name, action, target, **facts)


class HttpError(RungError):
    """A refused request, with HTTP status, optional Retry-After in seconds, and with 405 the methods that the path has."""

    def __init__(
        self,
        status: int,
        problem: str,
        where: str,
        fix: str,
        retry_after: int | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        super().__init__(problem, where, fix)
        self.status = status
        self.retry_after = retry_after
        self.allow = tuple(allow)
