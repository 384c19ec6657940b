"""`rung value`: cost and value of a product, from its served predictions."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, console, lang, print_json
from rung.cli.terminal import echo


@click.command(
    epilog="\b\nExamples:\n  rung value product.yaml\n  rung value product.yaml --html value.html\n"
    "  rung value runs/desk-001/bundle --folder service --json"
)
@click.argument("product", type=click.Path(path_type=Path), default=Path("product.yaml"))
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False),
    help="Service folder with the journal. Default: serve.folder of the product.",
)  # fmt: skip
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write an HTML report with a chart, in --lang.",
)
@as_json
def command(product: Path, folder: Path | None, html: Path | None, as_json: bool) -> None:
    """Report cost and value of PRODUCT (default: product.yaml), and what a large language model would have cost."""
    from rung.core.files import write_text
    from rung.core.messages import say
    from rung.monitoring.value import monthly_cost
    from rung.pages.value import llm_lines, render, summary
    from rung.workflows.monitor import business_value

    words = lang()
    report = business_value(product, folder)
    if html:
        write_text(html, render(report, monthly_cost, words))
        echo(say("term.wrote", words, path=html), err=True)
    if as_json:
        print_json(report)
        return
    screen = console()
    first, *more = summary(report, words)
    screen.print(first, markup=False, style="bold")
    for line in more:
        screen.print(line, markup=False)
    head, *models = llm_lines(report, words) or [""]
    if head:
        screen.print("\n" + head, markup=False)
    for line in models:
        screen.print(f"  {line}", markup=False)
