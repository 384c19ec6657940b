"""Shared options, and the console that commands print to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rung.cli.terminal import print_json as print_json

if TYPE_CHECKING:
    from rich.console import Console

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def _store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Store the option for the whole call, before or after the command's name."""
    if value:
        context.find_root().meta[f"rung.{parameter.name}"] = value


def shared_options() -> list[click.Option]:
    """Return the options of every command."""
    return [
        click.Option(
            ["--lang"], metavar="en|zh", expose_value=False, callback=_store,
            help="Language of output and pages. Default: RUNG_LANG, else the system language.",
        ),
        click.Option(
            ["--no-color"], is_flag=True, expose_value=False, callback=_store, help="Disable colour; the variable NO_COLOR does the same.",
        ),
    ]  # fmt: skip


def lang() -> str:
    """Return the output language; raises RungError for an unsupported one."""
    from rung.core.messages import resolve_language

    return resolve_language(click.get_current_context().find_root().meta.get("rung.lang"))


def color_is_off() -> bool:
    """Return whether colour is disabled by option or environment."""
    import os

    context = click.get_current_context(silent=True)
    return bool(os.environ.get("NO_COLOR")) or bool(context and context.find_root().meta.get("rung.no_color"))


def console(stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console that respects --no-color; when piped it prints plain lines without wrapping.

    Chinese lines are left to the terminal, which breaks them between any two characters.
    """
    from rung.cli.visible_console import VisibleConsole

    screen = VisibleConsole(
        stderr=stderr, quiet=quiet, highlight=False, emoji=False, no_color=color_is_off() or None
    )
    screen.soft_wrap = not screen.is_terminal or _is_chinese()
    return screen


def _is_chinese() -> bool:
    from rung.core.errors import RungError

    try:
        return lang() == "zh"
    except (RungError, RuntimeError):  # Reported where it is asked for; no command is running.
        return False


def heed_interrupts() -> None:
    """End at SIGINT from now on, also where a shell started this process with the signal ignored, as it starts jobs."""
    import signal

    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def user_name() -> str:
    """Return the login name of the user."""
    import getpass

    try:
        return getpass.getuser() or "me"
    except (OSError, KeyError):  # A container without an entry for the user id.
        return "me"
