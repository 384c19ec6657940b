"""`rung distill`: train the cheap rungs on a teacher's labels."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, lang, print_json

_SYNTHETIC = "rung.distill.synthetic"


@click.command(
    epilog="\b\nExamples:\n  rung distill product.yaml --pool unlabelled.csv --teacher deepseek --model deepseek-v4-flash --usd 2\n"
    "  rung distill product.yaml --pool unlabelled.csv --teacher runs/large-001/bundle"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option("--pool", required=True, type=click.Path(path_type=Path), help="Table of rows without labels.")
@click.option(
    "--teacher", required=True, help="A service of `rung llm`, an address, or the folder of a bundle."
)
@click.option("--model", default="", help="Name of the language model; none for a bundle.")
@click.option(
    "--usd", default=5.0, show_default=True, type=click.FloatRange(min=0), help="Most the teacher may charge."
)
@click.option(
    "--labels", default=2_000, show_default=True, type=click.IntRange(50), help="Most rows to ask about."
)
@click.option(
    "--synthetic",
    default=0,
    show_default=True,
    type=click.IntRange(0, 1_000),
    expose_value=False,
    callback=lambda context, option, value: context.meta.update({_SYNTHETIC: value}),
    help="Labels of fewer rows get texts that the language model makes up, until they have so many; 0: none.",
)
@click.option("--guidelines", default="", help="How to label, in your words, for a language model.")
@click.option(
    "--price", nargs=2, type=float, help="USD of a million tokens in and out, where rung does not know them."
)
@as_json
def command(
    product: Path, pool: Path, teacher: str, model: str, usd: float, labels: int, guidelines: str,
    price: tuple[float, float] | None, as_json: bool,
) -> None:  # fmt: skip
    """Label rows of a pool by a teacher within a budget, train the cheap rungs on them, certify on PRODUCT's own labels.

    Writes distilled/ beside PRODUCT: train.csv, gold.csv, the run, distill.json and distill.html. Exits 3 where no rung
    clears the bar.
    """
    from rung.core.messages import money, percent
    from rung.pages.distill import summary
    from rung.workflows.distill import TeacherSpec, distill

    words = lang()

    def told(asked: int, spent: float, score: float) -> None:
        if not as_json:
            click.echo(f"  {asked:>6} labels  {money(spent, words, 4)}  {percent(score, 1)}", err=True)

    usd_in, usd_out = price or (None, None)
    params = {"guidelines": guidelines, "usd_in": usd_in, "usd_out": usd_out} if model else None
    found = distill(
        product,
        TeacherSpec(teacher, model, params, click.get_current_context().meta[_SYNTHETIC]),
        pool.resolve(),
        usd=usd,
        labels=labels,
        lang=words,
        progress=told,
    )
    if as_json:
        print_json({**found.report, "folder": str(found.folder), "bundle": str(found.build.bundle)})
    else:
        for line in summary(found.report, words):
            click.echo(line)
        click.echo(str(found.folder / "distill.html"))
    click.get_current_context().exit(0 if found.build.cleared else 3)
