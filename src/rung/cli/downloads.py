"""Show on a terminal how far downloads of data have come; nothing where it is piped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rung.cli.options import console
from rung.core.download_progress import watched
from rung.core.messages import say


def in_words(what: str, size: int, of: int, lang: str) -> str:
    """Return how much of a download is here, in megabytes; of: bytes in all, 0 where the server does not say."""
    key = "term.downloading" if of else "term.downloading_some"
    return say(key, lang, what=what, size=f"{size / 1e6:,.1f}", of=f"{of / 1e6:,.1f}")


@contextmanager
def shown_downloads(lang: str) -> Iterator[None]:
    """Show what is downloaded while the block runs on one line of standard error, which goes when the block ends."""
    from rich.markup import escape

    screen = console(stderr=True)
    if not screen.is_terminal:
        yield
        return
    status = screen.status("")

    def show(what: str, size: int, of: int) -> None:
        status.update(escape(in_words(what, size, of, lang)))
        status.start()

    try:
        with watched(show):
            yield
    finally:
        status.stop()
