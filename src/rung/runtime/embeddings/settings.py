"""Settings of embedding during a build: cache folder and number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

# Set while a build runs; servers have neither.
_CACHE_SETTINGS: ContextVar[tuple[Path, int] | None] = ContextVar("rung_building", default=None)


@contextmanager
def use_embedding_cache(cache: Path, threads: int) -> Iterator[None]:
    """Keep every embedding made inside the block below `cache`, so that no input is embedded twice."""
    token = _CACHE_SETTINGS.set((cache, threads))
    try:
        yield
    finally:
        _CACHE_SETTINGS.reset(token)


def embedding_cache_settings() -> tuple[Path, int] | None:
    """Return the cache folder and the number of threads inside `use_embedding_cache`, None outside."""
    return _CACHE_SETTINGS.get()
