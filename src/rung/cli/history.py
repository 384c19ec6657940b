"""`rung history`: who changed the champion, when and why."""

from __future__ import annotations

import time
from pathlib import Path

import click

from rung.cli.options import as_json, console, lang, print_json


@click.command(epilog="\b\nExamples:\n  rung history\n  rung history news/product.yaml --json")
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@as_json
def command(product: Path, as_json: bool) -> None:
    """Show promotions, rollbacks, shadow runs and rejected challengers of PRODUCT (default: product.yaml), oldest first."""
    from rung.core.messages import say
    from rung.core.spec.product import load_product
    from rung.serving import promotion

    spec, base = load_product(product)
    changes = promotion.history(base / spec.serve.folder, spec.name)
    if as_json:
        print_json([promotion.as_dict(change) for change in changes])
        return
    words, screen = lang(), console()
    if not changes:
        screen.print(say("improve.no_history", words, name=spec.name), markup=False)
    for change in changes:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change.at))
        done = say(f"improve.did_{change.action}", words)
        line = say(
            "improve.line",
            words,
            when=when,
            did=done,
            version=change.version[:12],
            who=change.who,
            why=change.why,
        )
        screen.print(line.rstrip(" :："), markup=False)
