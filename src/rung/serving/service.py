"""What a server stands on besides its models: limits, keys, journal, metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.errors import RungError
from rung.core.prices import Prices, load_prices
from rung.core.spec.serve import ServeSpec
from rung.serving import audit_log
from rung.serving.http.access import Caller
from rung.serving.http.api_keys import KeyStore
from rung.serving.metrics import Metrics

if TYPE_CHECKING:
    from rung.journal.writer import Journal


@dataclass(frozen=True)
class Service:
    """keys: while there are none it is development, and everyone may do everything. journal: None: nothing is kept.

    local_only: in development, take requests only under a name of this machine and none from pages of another
    place: what protects a server without keys from the browser beside it.
    """

    limits: ServeSpec = ServeSpec()
    keys: KeyStore | None = None
    journal: Journal | None = None
    folder: Path | None = None
    local_only: bool = False
    watch: bool = False
    metrics: Metrics = field(default_factory=Metrics)
    prices: Prices = field(default_factory=load_prices)

    def audit(self, caller: Caller, action: str, target: str, **facts: Any) -> None:
        """Write an action down where there is a folder for it."""
        if self.folder is not None:
            audit_log.record(self.folder, caller.name, action, target, **facts)


class HttpError(RungError):
    """A request that is turned away: the HTTP status, and when to ask again."""

    def __init__(
        self, status: int, problem: str, where: str, fix: str, retry_after: int | None = None
    ) -> None:
        super().__init__(problem, where, fix)
        self.status = status
        self.retry_after = retry_after
