"""`rung replay`: estimate what a bundle's lists would have earned, from lists that were drawn at random and what was clicked."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, console, lang, print_json


@click.command(
    epilog="\b\nExamples:\n  rung replay runs/films-002\n  rung replay runs/films-002/bundle films/product.yaml --json\n"
    "  rung replay product.yaml\n\n\b\nNeeds lists that were served with `serve: {explore: 0.05}`, and feedback that names their items."
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 0.9999),
    default=0.95,
    show_default=True,
    help="Of the intervals.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="JSON lines of lists that another system has shown, in place of the journal: history, items with propensity, clicked.",
)
@as_json
def command(bundle: Path, product: Path, confidence: float, log: Path | None, as_json: bool) -> None:
    """Estimate the clicks on lists of BUNDLE from the journal of PRODUCT (default: product.yaml).

    BUNDLE: a bundle, a run, or a product file, which stands for the bundle of its newest cleared run.
    """
    from rung.core.messages import say
    from rung.core.spec.product import load_product
    from rung.pages.replay import lines
    from rung.serving.bundle_source import is_product, newest_cleared_bundle
    from rung.serving.promotion import bundle_in
    from rung.workflows.replay import replay

    if is_product(bundle):
        product = bundle
        spec, base = load_product(product)
        chosen = newest_cleared_bundle(base / "runs", spec.name)
    else:
        chosen = bundle_in(bundle)
    found = replay(chosen, product, confidence, log).as_dict()
    if as_json:
        print_json(found)
        return
    screen = console()
    first, *more = lines(found, lang())
    screen.print(say("replay.of", lang(), version=found["version"][:12], name=found["model"]), markup=False)
    screen.print(first, markup=False, style="bold")
    for line in more:
        screen.print(line, markup=False)
