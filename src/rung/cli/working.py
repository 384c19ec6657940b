"""Say what goes on while a command works for more than a few seconds: on one line of a terminal, else line by line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from rung.cli.progress import activity_text
from rung.core.activity import Heartbeat


@contextmanager
def show_working(screen: Console, lang: str, status: Status | None = None) -> Iterator[Heartbeat]:
    """Show the current activity while the block is silent. status: the line to write it on, where there is one already."""
    own = screen.status("") if status is None and screen.is_terminal else None
    line = status or own

    def show(now: dict[str, Any]) -> None:
        text = escape(activity_text(now, lang))
        if line is None:
            screen.print(f"[dim]{text}[/dim]")
            return
        line.update(text)
        line.start()

    try:
        with Heartbeat(show) as heartbeat:
            yield heartbeat
    finally:
        if own:
            own.stop()
