"""Download progress on a terminal; nothing is printed when output is piped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rung.cli.options import console
from rung.core.download_progress import watched
from rung.core.messages import say


def progress_text(what: str, size: int, of: int, lang: str) -> str:
    """Return the progress of a download in megabytes. size: bytes received; of: total bytes, 0 if unknown."""
    key = "term.downloading" if of else "term.downloading_some"
    return say(key, lang, what=what, size=f"{size / 1e6:,.1f}", of=f"{of / 1e6:,.1f}")


@contextmanager
def show_download_progress(lang: str) -> Iterator[None]:
    """Show download progress on one transient line of standard error while the block runs."""
    from rich.markup import escape

    screen = console(stderr=True)
    if not screen.is_terminal:
        yield
        return
    status = screen.status("")

    def show(what: str, size: int, of: int) -> None:
        status.update(escape(progress_text(what, size, of, lang)))
        status.start()

    try:
        with watched(show):
            yield
    finally:
        status.stop()
