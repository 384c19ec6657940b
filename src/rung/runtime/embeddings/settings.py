"""Settings of embedding during a build: cache folder and number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from rung.runtime.embeddings.cache import EmbeddingCache, LayeredCache


@dataclass(frozen=True)
class EmbeddingSettings:
    """folder: of the cache. threads: that compute embeddings. fresh: a folder for what is not in the cache yet; it is
    the caller's to remove. None: the cache keeps all. opened: the caches of `kept_open`, by their arguments.
    """

    folder: Path
    threads: int
    fresh: Path | None = None
    opened: dict[tuple[str, int, str], EmbeddingCache | LayeredCache] = field(
        default_factory=dict, compare=False, repr=False
    )

    def cache(self, encoder_id: str, width: int, kind: str) -> EmbeddingCache | LayeredCache:
        """Return the embeddings of one encoder; the arguments are those of `EmbeddingCache`."""
        kept = EmbeddingCache(self.folder, encoder_id, width, kind)
        if self.fresh is None:
            return kept
        return LayeredCache(kept, EmbeddingCache(self.fresh, encoder_id, width, kind))

    def kept_open(self, encoder_id: str, width: int, kind: str) -> EmbeddingCache | LayeredCache:
        """Return what `cache` does, opened once: for inputs that come one by one."""
        key = encoder_id, width, kind
        if key not in self.opened:
            self.opened[key] = self.cache(*key)
        return self.opened[key]


# Set while a build runs; servers have none.
_SETTINGS: ContextVar[EmbeddingSettings | None] = ContextVar("rung_building", default=None)


@contextmanager
def use_embedding_cache(cache: Path, threads: int, fresh: Path | None = None) -> Iterator[None]:
    """Keep every embedding made inside the block below `cache`, or `fresh`, so that no input is embedded twice."""
    token = _SETTINGS.set(EmbeddingSettings(cache, threads, fresh))
    try:
        yield
    finally:
        _SETTINGS.reset(token)


@contextmanager
def without_embedding_cache() -> Iterator[None]:
    """Open models inside the block that keep no embedding, as a server does: what an answer costs is then measured whole."""
    token = _SETTINGS.set(None)
    try:
        yield
    finally:
        _SETTINGS.reset(token)


def embedding_cache_settings() -> EmbeddingSettings | None:
    """Return the settings inside `use_embedding_cache`, None outside."""
    return _SETTINGS.get()
