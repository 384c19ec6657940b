"""`rung promote`: make a certified bundle the champion."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, console, lang, print_json, user_name


@click.command(
    epilog="\b\nExamples:\n  rung promote runs/news-002\n  rung promote runs/news-002/bundle news/product.yaml --why 'new desk'\n"
    "  rung promote product.yaml"
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option("--by", metavar="NAME", help="Author for the history. Default: your login name.")
@click.option("--why", default="", help="Reason for the history.")
@click.option("--shadow", is_flag=True, help="Run it in shadow of the champion first; see `improve.shadow`.")
@as_json
def command(bundle: Path, product: Path, by: str | None, why: str, shadow: bool, as_json: bool) -> None:
    """Make BUNDLE the champion of PRODUCT (default: product.yaml). Running servers load it within a second.

    BUNDLE: a bundle, a run, or a product file, which stands for the bundle of its newest cleared run.
    """
    from rung.core.errors import RungError
    from rung.core.messages import say
    from rung.core.spec.improve import ShadowSpec
    from rung.core.spec.product import load_product
    from rung.serving import promotion
    from rung.serving.bundle_source import newest_cleared_bundle

    if (
        bundle.suffix in {".yaml", ".yml"}
        or (bundle / "product.yaml").is_file()
        and not (bundle / "run.json").is_file()
    ):
        product = bundle
        spec, base = load_product(product)
        chosen = newest_cleared_bundle(base / "runs", spec.name)
    else:
        spec, base = load_product(product)
        chosen = promotion.bundle_in(bundle)
    folder = base / spec.serve.folder
    current = promotion.current_champion(product, folder, base, spec.name)
    if shadow:
        if current is None:
            raise RungError("there is no champion yet", spec.name, "Promote the bundle without --shadow.")
        terms = promotion.ShadowTerms(spec.improve.shadow or ShadowSpec(), by or user_name(), why)
        change = promotion.begin_shadow(folder, spec.name, chosen, current, terms)
    else:
        change = promotion.promote(folder, spec.name, chosen, current, by or user_name(), why)
    if as_json:
        print_json(promotion.as_dict(change))
    elif shadow:
        console().print(say("improve.shadowed", lang(), version=change.version[:12]), markup=False)
    else:
        console().print(
            say("improve.serves", lang(), name=spec.name, version=change.version[:12], bundle=change.bundle),
            markup=False,
        )
