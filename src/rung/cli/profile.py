"""`rung profile`: show where the time and memory of training go."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from rung.cli.options import as_json, console, lang, print_json


@click.command(
    epilog="\b\nExamples:\n  rung profile product.yaml mlp\n  rung profile product.yaml finetuned_encoder --steps 5"
)
@click.argument("product", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("rung")
@click.option(
    "--steps", default=10, show_default=True, type=click.IntRange(1, 1000), help="Steps to profile."
)
@as_json
def command(product: Path, rung: str, steps: int, as_json: bool) -> None:
    """Train RUNG of PRODUCT for a few steps and show the operators that take most time and memory."""
    from rich.table import Table

    from rung.core.messages import say
    from rung.workflows.profile_training import profile_training

    words = lang()
    found = profile_training(product, rung, steps)
    if as_json:
        print_json(asdict(found))
        return
    total = sum(one.cpu_ms + one.gpu_ms for one in found.operators) or 1.0
    table = Table(title=say("profile.title", words, rung=rung, steps=steps, rows=f"{found.rows_per_s:,.0f}"))
    for key in ("operator", "calls", "cpu", "gpu", "share", "memory"):
        table.add_column(say(f"profile.{key}", words), justify="left" if key == "operator" else "right")
    for one in found.operators[:15]:
        share = (one.cpu_ms + one.gpu_ms) / total
        figures = (
            f"{one.calls:,}",
            f"{one.cpu_ms:,.1f}",
            f"{one.gpu_ms:,.1f}",
            f"{share:.1%}",
            f"{one.memory_mb:,.1f}",
        )
        table.add_row(one.name, *figures)
    console().print(table)
