"""`rung rollback`: make the previous champion the champion again."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, console, lang, print_json, user_name


@click.command(
    epilog="\b\nExamples:\n  rung rollback\n  rung rollback news/product.yaml --by Ana --why 'complaints'"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option("--by", metavar="NAME", help="Author for the history. Default: your login name.")
@click.option("--why", default="", help="Reason for the history.")
@as_json
def command(product: Path, by: str | None, why: str, as_json: bool) -> None:
    """Undo the last promotion of PRODUCT (default: product.yaml). Running servers follow within a second."""
    from rung.core.messages import say
    from rung.core.spec.product import load_product
    from rung.serving import promotion

    spec, base = load_product(product)
    change = promotion.rollback(base / spec.serve.folder, spec.name, by or user_name(), why)
    if as_json:
        print_json(promotion.as_dict(change))
    else:
        console().print(
            say("improve.serves", lang(), name=spec.name, version=change.version[:12], bundle=change.bundle),
            markup=False,
        )
