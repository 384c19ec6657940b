"""`rung weights`: list, fetch and remove the pretrained weights of encoders."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from rung.cli.options import as_json, console, lang, print_json
from rung.cli.terminal import echo

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@click.group(
    epilog="\b\nExamples:\n  rung weights list\n  rung weights fetch minilm\n  rung weights remove e5_small"
)
def command() -> None:
    """List, fetch and remove the pretrained weights of encoders.

    Names: a name of the list, hub:owner/model (Hugging Face), or file:folder. The cache is $RUNG_CACHE, default
    ~/.cache/rung.
    """


@command.command("list", epilog="\b\nExamples:\n  rung weights list\n  rung weights list --json")
@as_json
def list_command(as_json: bool) -> None:
    """List the known weights with size, licence and whether they are fetched."""
    from rung.runtime.weights.store import list_weights

    found = list_weights()
    if as_json:
        print_json([vars(item) for item in found])
        return
    for item in found:
        state = "fetched" if item.folder else "not fetched"
        echo(f"{item.name:<12} {item.size_mb:>7.1f} MB  {item.licence:<12} {state:<12} {item.summary}")


@command.command(
    "fetch", epilog="\b\nExamples:\n  rung weights fetch minilm\n  rung weights fetch minilm e5_small --json"
)
@click.argument("names", nargs=-1, required=True)
@as_json
def fetch_command(names: tuple[str, ...], as_json: bool) -> None:
    """Download NAMES into the cache and verify each file's SHA-256."""
    from rich.progress import Progress

    from rung.core.messages import say
    from rung.runtime.weights.store import fetch, list_weights

    licences = {item.name: item.licence for item in list_weights()}
    folders = {}
    for name in names:
        if not as_json:
            echo(say("term.licence", lang(), name=name, licence=licences.get(name, "?")), err=True)
        screen = console(stderr=True)
        with Progress(console=screen, transient=True, disable=as_json or not screen.is_terminal) as bar:
            task = bar.add_task(name, total=1.0)
            folders[name] = fetch(name, partial(_update_bar, bar, task))
    if as_json:
        print_json({name: str(folder) for name, folder in folders.items()})
    else:
        for name, folder in folders.items():
            echo(f"{name}: {folder}")


def _update_bar(bar: Progress, task: TaskID, message: str, done: float) -> None:
    bar.update(task, description=message, completed=done)


@command.command(
    "remove", epilog="\b\nExamples:\n  rung weights remove e5_small\n  rung weights remove e5_small --json"
)
@click.argument("names", nargs=-1, required=True)
@as_json
def remove_command(names: tuple[str, ...], as_json: bool) -> None:
    """Delete NAMES from the cache."""
    from rung.runtime.weights.store import remove

    freed = {name: remove(name) for name in names}
    if as_json:
        print_json({"freed_mb": freed})
    else:
        for name, size in freed.items():
            echo(f"{name}: {size:.1f} MB freed")
