"""Options that several commands share."""

from __future__ import annotations

import json
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs instead of text.")


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))
