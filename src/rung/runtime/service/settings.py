"""Settings of calls to services during a fit: the ledger that stops them and the cache of their answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from rung.runtime.service.ledger import Ledger
from rung.runtime.service.response_cache import ResponseCache


@dataclass(frozen=True)
class ServiceSettings:
    """Where the calls of a fit are kept and counted."""

    cache: ResponseCache
    ledger: Ledger


# Set while a model is fitted; elsewhere the caller of a service says what counts.
_SETTINGS: ContextVar[ServiceSettings | None] = ContextVar("rung_services", default=None)


@contextmanager
def count_service_calls(cache: Path, ledger: Ledger) -> Iterator[None]:
    """Count every call to a service inside the block, and keep its answer."""
    token = _SETTINGS.set(ServiceSettings(ResponseCache(cache), ledger))
    try:
        yield
    finally:
        _SETTINGS.reset(token)


def service_settings() -> ServiceSettings | None:
    """Return the settings inside `count_service_calls`, None outside."""
    return _SETTINGS.get()
