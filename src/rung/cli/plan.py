"""`rung plan`: look at data before anything is spent."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, print_json


@click.command(epilog="\b\nExamples:\n  rung plan tickets.csv\n  rung plan reviews/ -o reviews.yaml")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write; default product.yaml.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@as_json
def command(data: Path, out: Path | None, force: bool, as_json: bool) -> None:
    """Find the task, the columns and the ladder in DATA, a file or a folder with one sub-folder per class.

    Writes a product.yaml with a comment beside every guess.
    """
    from rung.core.errors import RunError
    from rung.core.files import write_text
    from rung.pipeline import plan

    target = out or Path("product.yaml")
    if target.exists() and not force:
        raise RunError(
            "the file exists already", str(target), "Choose another with -o, or overwrite with --force."
        )
    proposal = plan(data)
    write_text(target, proposal.yaml(_from(target, data)))
    if as_json:
        print_json({**proposal.as_dict(), "written": str(target)})
        return
    click.echo(f"{data}: {proposal.guess.task}, {proposal.rows:,} rows read\n")
    for reason in proposal.guess.reasons:
        click.echo(f"  {reason}")
    click.echo(
        f"\nAbout {proposal.certification_rows:,} rows will certify. The ladder, cheapest answer first:"
    )
    for rung in proposal.ladder.rungs:
        click.echo(
            f"  {rung.name:<18} {rung.usd_per_1k:>12.7f} USD / 1k   about {rung.planned.fit_seconds:,.0f} s a fit"
        )
    click.echo(f"\nWrote {target}. Read it, set your bar, then: rung build {target}")


def _from(target: Path, data: Path) -> str:
    """Return the path of the data as product.yaml must write it: from its own folder."""
    import os

    return Path(os.path.relpath(data.resolve(), target.resolve().parent)).as_posix()
