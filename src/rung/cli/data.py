"""`rung data`: what is wrong with a product's data, and what to do about it."""

from __future__ import annotations

import click

from rung.cli.options import shared
from rung.cli.restore import restore


@click.group()
def command() -> None:
    """Look at the data of a product: the rows that a build left out."""


command.add_command(restore)

# Options that every command takes stand behind these too.
for _command in command.commands.values():
    _command.params += shared()
