"""`rung compress`: make the winner of a run smaller or faster, certified anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from rung.cli.options import as_json, console, lang, print_json
from rung.cli.terminal import echo

if TYPE_CHECKING:
    from rung.workflows.compress import Compressed


def _megabytes(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Return a size in megabytes."""
    from rung.core.spec.compress import megabytes

    try:
        return None if value is None else float(megabytes(value))
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@click.command(
    epilog="\b\nExamples:\n  rung compress runs/news-001\n  rung compress runs/news-001 --to 2MB --max-loss 0.01\n"
    "  rung compress runs/news-001 --prefer speed --unlabelled articles.csv\n\n"
    "\b\nExit codes: 0 a smaller bundle ships, 2 user error, 3 none does: the bundle of the run ships as before."
)
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
@click.option("--to", "size_mb", callback=_megabytes, metavar="SIZE", help="Size of the bundle at most: 10MB, 500kB. Default: as small as can be.")  # fmt: skip
@click.option(
    "--max-loss",
    type=float,
    help="How much of the bar's first metric may be lost on held-out training rows; of an unbounded one, as a share of it. Default: 0.005.",
)
@click.option(
    "--prefer",
    type=click.Choice(["size", "speed"]),
    help="What is to be least: the bundle, or the CPU time of an answer on this machine. Default: size.",
)
@click.option(
    "--train/--no-train",
    default=None,
    help="Also train networks after layers, heads or units were cut; needs rung[train], minutes each.",
)
@click.option(
    "--unlabelled", type=click.Path(path_type=Path), help="Table of rows without labels, which the winner answers and students learn from.",
)  # fmt: skip
@click.option(
    "--product", type=click.Path(path_type=Path), help="The product file, where the run was moved away from it."
)  # fmt: skip
@as_json
def command(
    run: Path,
    size_mb: float | None,
    max_loss: float | None,
    prefer: Literal["size", "speed"] | None,
    train: bool | None,
    unlabelled: Path | None,
    product: Path | None,
    as_json: bool,
) -> None:
    """Make the winner of RUN smaller or faster; RUN stays as it is.

    Candidates are made of the winner (fewer features, fewer layers, fewer bits, students), scored on held-out training rows and measured.
    The best within --max-loss is certified by one look and written to RUN/compressed/bundle. What no option says stands in the section
    `compress` of the product file.
    """
    from rung.cli.progress import Progress
    from rung.workflows.compress import compress, wanted_in

    words = lang()
    asked: dict[str, Any] = {"size_mb": size_mb, "loss": max_loss, "prefer": prefer, "train": train}
    wanted = replace(
        wanted_in(run, product), **{key: value for key, value in asked.items() if value is not None}
    )
    with Progress(words, quiet=as_json) as progress:
        found = compress(run, wanted, product=product, unlabelled=unlabelled, on_event=progress, lang=words)
    if as_json:
        print_json(as_value(found))
    else:
        print_compressed(found, words)
    click.get_current_context().exit(0 if found.ok else 3)


def as_value(found: Compressed) -> dict[str, Any]:
    """Return what --json prints."""
    return {**found.report, "folder": str(found.folder), "bundle": str(found.bundle)}


def print_compressed(found: Compressed, words: str) -> None:
    """Print the candidates, what became of them, and where page and bundle lie."""
    from rung.pages.compress import summary

    _print_candidates(found.report, words)
    for line in summary(found.report, words):
        echo(line)
    echo(str(found.folder / "compress.html"))
    echo(str(found.bundle))


def _print_candidates(report: Mapping[str, Any], words: str) -> None:
    """Print the table of candidates, as many columns as fit."""
    from rung.cli.columns import table_that_fits
    from rung.pages.compress import head, rows

    lines, screen = [head(words), *rows(report, words)], console()
    columns = [[line[place] for line in lines] for place in range(len(lines[0]))]
    won = {number for number, line in enumerate(lines[1:]) if line[0] == report["chosen"]}
    screen.print(
        table_that_fits(columns, screen.width, (0, 2, 3, 5, 7, 4, 6, 1), left=(0, 1, 7), always=4, bold=won)
    )
