"""`rung plan`: look at data before anything is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rung.cli.options import as_json, console, lang, print_json


@click.command(
    epilog="\b\nExamples:\n  rung plan tickets.csv\n  rung plan reviews/ -o reviews.yaml\n"
    "  rung plan 'data/2024-*.csv' more.parquet --target queue --group customer\n"
    "  rung plan sqlite:///tickets.db --query 'select subject, queue from tickets'\n"
    "  rung plan loans.csv --cost-of-error 2.50 --touches credit --lang zh"
)
@click.argument("data", nargs=-1, required=True)
@click.option("--task", help="Kind of problem.")
@click.option("--input", "inputs", multiple=True, help="Column that the model reads; may be given again.")
@click.option("--target", help="Column that it predicts.")
@click.option("--group", help="Column of what rows share: a customer, a thread.")
@click.option("--time", help="Column of dates: certify on the latest rows.")
@click.option("--query", help="What to select from a database.")
@click.option("--sheet", help="Sheet of a workbook, by name or number.")
@click.option("--split", help="Split of a Hugging Face data set.")
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
    data: tuple[str, ...], task: str | None, inputs: tuple[str, ...], out: Path | None, force: bool,
    cost_of_error: float | None, touches: tuple[str, ...], driver: str | None,
    as_json: bool, **given: str | None,
) -> None:  # fmt: skip
    """Find the task, the columns, the ladder, a bar and the duties in DATA.

    DATA: one or several files, folders with one sub-folder per class, patterns in quotes, http(s) addresses,
    databases with --query, data sets (hf:owner/name). Writes a product.yaml with a comment beside every guess, and
    plan.html and plan.json beside it; what you name with an option is not guessed.
    """
    from rung.building.plan_summary import Wishes
    from rung.cli.downloads import shown_downloads
    from rung.cli.plan_page import print_plan
    from rung.core.errors import RungError
    from rung.core.files import write_json, write_text
    from rung.core.messages import say
    from rung.core.spec.source_names import PASSWORD, without_secrets
    from rung.pages.plan import render_plan
    from rung.workflows.plan import plan

    words = lang()
    target = out or Path("product.yaml")
    if target.exists() and not force:
        raise RungError(
            "the file exists already", str(target), "Choose another with -o, or overwrite with --force."
        )
    known: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if inputs:
        known["input"] = list(inputs)
    if known.get("sheet", "").isdecimal():
        known["sheet"] = int(known["sheet"])
    with shown_downloads(words):
        proposal = plan(data, task=task, data=known, wishes=Wishes(cost_of_error, touches, driver))
    found = proposal.as_dict()
    write_text(target, proposal.yaml([_from(target, path) for path in data]))
    write_text(target.with_name("plan.html"), render_plan(found, words))
    write_json(target.with_name("plan.json"), found)
    if any(without_secrets(path) != path for path in data):
        click.echo(f"The password was not written. Before you build: export {PASSWORD}=...", err=True)
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


def _from(target: Path, path: str) -> str:
    """Return a path as product.yaml must write it: from its own folder, that of a SQLite file too."""
    import os
    import re

    from rung.core.spec.source_names import is_address, is_hub

    def moved(name: str) -> str:
        return Path(os.path.relpath(Path(name).resolve(), target.resolve().parent)).as_posix()

    sqlite = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/?:][^?]*)(.*)", path)
    if sqlite and not Path(sqlite[2]).is_absolute():
        return sqlite[1] + moved(sqlite[2]) + sqlite[3]
    return path if is_address(path) or is_hub(path) else moved(path)
