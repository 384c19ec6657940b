"""`rung plan`: look at data before anything is spent."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, console, lang, print_json


@click.command(
    epilog="\b\nExamples:\n  rung plan tickets.csv\n  rung plan reviews/ -o reviews.yaml\n"
    "  rung plan loans.csv --cost-of-error 2.50 --touches credit --lang zh"
)
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write; default product.yaml.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option(
    "--cost-of-error", type=float, metavar="USD", help="What a wrong answer costs; the bar follows from it."
)
@click.option(
    "--touches",
    multiple=True,
    metavar="KIND",
    help="personal, credit, health, biometrics, employment, generative.",
)
@click.option("--driver", metavar="KIND", help="What drives the product: technology, data or application.")
@as_json
def command(
    data: Path, out: Path | None, force: bool, cost_of_error: float | None,
    touches: tuple[str, ...], driver: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Find the task, the columns, the ladder, a bar and the duties in DATA, a file or a folder with one sub-folder per class.

    Writes a product.yaml with a comment beside every guess, and plan.html and plan.json beside it.
    """
    from rung.cli.plan_page import print_plan
    from rung.core.errors import RunError
    from rung.core.files import write_json, write_text
    from rung.core.messages import say
    from rung.pages.plan import render_plan
    from rung.pipeline import plan
    from rung.stages.brief import Wishes

    words = lang()
    target = out or Path("product.yaml")
    if target.exists() and not force:
        raise RunError(
            "the file exists already", str(target), "Choose another with -o, or overwrite with --force."
        )
    proposal = plan(data, Wishes(cost_of_error, touches, driver))
    found = proposal.as_dict()
    write_text(target, proposal.yaml(_from(target, data)))
    write_text(target.with_name("plan.html"), render_plan(found, words))
    write_json(target.with_name("plan.json"), found)
    if as_json:
        print_json({**found, "written": str(target)})
        return
    screen = console()
    print_plan(screen, found, words)
    files = ", ".join(
        str(path) for path in (target, target.with_name("plan.html"), target.with_name("plan.json"))
    )
    screen.print("\n" + say("plan.wrote", words, files=files), markup=False)
    screen.print(say("plan.next", words, file=str(target)), markup=False)


def _from(target: Path, data: Path) -> str:
    """Return the path of the data as product.yaml must write it: from its own folder."""
    import os

    return Path(os.path.relpath(data.resolve(), target.resolve().parent)).as_posix()
