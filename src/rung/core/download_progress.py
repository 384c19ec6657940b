"""Report download progress to a listener, independent of any terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# what (without secrets), bytes that are here, bytes in all (0: unknown)
Watcher = Callable[[str, int, int], None]
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Call `watcher` for each piece that arrives in this thread while the block runs."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def arrived(what: str, size: int, of: int) -> None:
    """Tell whoever watches how many bytes of a download are here."""
    watcher = _watcher.get()
    if watcher:
        watcher(what, size, of)
