"""Options that several commands share, and the console they print to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of text.")


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Remember the option for the whole call, wherever on the line it stood."""
    if value:
        context.find_root().meta[f"rung.{parameter.name}"] = value


def shared() -> list[click.Option]:
    """Return the options that every command takes."""
    return [
        click.Option(
            ["--lang"], metavar="en|zh", expose_value=False, callback=_keep,
            help="Language of what is printed and of pages; default: RUNG_LANG, else the system's.",
        ),
        click.Option(
            ["--no-color"], is_flag=True, expose_value=False, callback=_keep, help="No colour; so does NO_COLOR.",
        ),
    ]  # fmt: skip


def lang() -> str:
    """Return the language to print in; raises RungError for one that is not there."""
    from rung.core.messages import language

    return language(click.get_current_context().find_root().meta.get("rung.lang"))


def colour_is_off() -> bool:
    """Return whether colour was declined on the line or in the environment."""
    import os

    context = click.get_current_context(silent=True)
    return bool(os.environ.get("NO_COLOR")) or bool(context and context.find_root().meta.get("rung.no_color"))


def console(stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console that minds --no-color; piped, it prints plain lines that are never folded."""
    from rich.console import Console

    made = Console(stderr=stderr, quiet=quiet, highlight=False, no_color=colour_is_off() or None)
    made.soft_wrap = not made.is_terminal
    return made


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def own_name() -> str:
    """Return who sits at this machine, as the system calls them."""
    import getpass

    try:
        return getpass.getuser() or "me"
    except (OSError, KeyError):  # A container without such a user.
        return "me"
