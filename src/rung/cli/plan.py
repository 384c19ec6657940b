"""`rung plan`: profile data and propose a product.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rung.cli.options import as_json, console, lang, print_json
from rung.cli.terminal import echo

if TYPE_CHECKING:
    from rung.workflows.plan_labels import Unlabelled


@click.command(
    epilog="\b\nExamples:\n  rung plan tickets.csv\n  rung plan reviews/ -o reviews.yaml\n"
    "  rung plan 'data/2024-*.csv' more.parquet --target queue --group customer\n"
    "  rung plan sqlite:///tickets.db --query 'select subject, queue from tickets'\n"
    "  rung plan loans.csv --cost-of-error 2.50 --touches credit --lang zh"
)
@click.argument("data", nargs=-1, required=True)
@click.option("--task", help="Task, such as text_classification.")
@click.option("--input", "inputs", multiple=True, help="Input column. Repeatable.")
@click.option("--target", help="Target column.")
@click.option("--group", help="Group column: rows of one customer or thread stay on one side of the split.")
@click.option("--time", help="Date column: certify on the latest rows.")
@click.option("--query", help="SQL query, for a database.")
@click.option("--sheet", help="Sheet of a workbook, by name or number.")
@click.option("--split", help="Split of a Hugging Face dataset.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Output file. Default: product.yaml.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.option(
    "--cost-of-error",
    type=float,
    metavar="USD",
    help="Cost of a wrong prediction, from which the bar is derived.",
)
@click.option(
    "--touches",
    multiple=True,
    metavar="KIND",
    help="Regulated use: personal, credit, health, biometrics, employment or generative. Repeatable.",
)
@click.option("--driver", metavar="KIND", help="Main driver of the product: technology, data or application.")
@as_json
def command(
    data: tuple[str, ...], task: str | None, inputs: tuple[str, ...], out: Path | None, force: bool,
    cost_of_error: float | None, touches: tuple[str, ...], driver: str | None,
    as_json: bool, **given: str | None,
) -> None:  # fmt: skip
    """Profile DATA and propose task, columns, ladder, bar and regulatory duties.

    DATA: files, folders with one sub-folder per class, quoted patterns, http(s) URLs, databases with --query, or
    Hugging Face datasets (hf:owner/name). Writes product.yaml, with a comment beside every guess, plan.html and
    plan.json. Values given by option are not guessed.
    """
    from rung.building.plan_summary import Wishes
    from rung.cli.downloads import show_download_progress
    from rung.cli.plan_page import print_plan
    from rung.cli.working import show_working
    from rung.core.errors import RungError
    from rung.core.files import write_json, write_text
    from rung.core.messages import join_list, say
    from rung.pages.plan import render_plan
    from rung.workflows.plan import plan
    from rung.workflows.plan_labels import Unlabelled

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
    try:
        with show_download_progress(words), show_working(console(stderr=True, quiet=as_json), words):
            proposal = plan(data, task=task, data=known, wishes=Wishes(cost_of_error, touches, driver))
    except Unlabelled as found_texts:
        _write_labelling(found_texts, data, target, words, as_json)
        return
    found = proposal.as_dict()
    paths = [_relative_path(target, path) for path in proposal.paths]
    test = _relative_path(target, proposal.test) if proposal.test else None
    write_text(target, proposal.yaml(paths, words, test))
    write_text(target.with_name("plan.html"), render_plan(found, words))
    write_json(target.with_name("plan.json"), found)
    _say_password(data)
    if as_json:
        print_json({**found, "written": str(target)})
        return
    screen = console()
    print_plan(screen, found, words)
    written = [str(path) for path in (target, target.with_name("plan.html"), target.with_name("plan.json"))]
    screen.print("\n" + say("plan.wrote", words, files=join_list(written, words)), markup=False)
    screen.print(say("plan.next", words, file=str(target)), markup=False)


def _write_labelling(
    found: Unlabelled, data: tuple[str, ...], target: Path, words: str, as_json: bool
) -> None:
    """Write a product.yaml whose rows are to be labelled first, and say so."""
    from rung.core.files import write_text
    from rung.core.messages import join_list, say
    from rung.core.spec.product import safe_name
    from rung.core.spec.source_names import stem
    from rung.data.readers import readers

    name = safe_name(stem(data[0], readers()))
    write_text(target, found.yaml(name, [_relative_path(target, path) for path in data], words))
    _say_password(data)
    if as_json:
        print_json({"unlabelled": True, "text": found.text, "labels": found.labels, "written": str(target)})
        return
    named = join_list(list(found.labels), words)
    screen = console()
    screen.print(say("plan.unlabelled", words, column=found.text, labels=named), markup=False)
    screen.print(say("plan.wrote", words, files=str(target)), markup=False)
    screen.print(say("plan.next_label", words, file=str(target)), markup=False)


def _say_password(data: tuple[str, ...]) -> None:
    """Say that passwords in addresses were left out of what was written."""
    from rung.core.messages import say
    from rung.core.spec.source_names import PASSWORD, without_secrets

    if any(without_secrets(path) != path for path in data):
        echo(say("plan.password", lang(), name=PASSWORD), err=True)


def _relative_path(target: Path, path: str) -> str:
    """Return a path relative to the folder of product.yaml, also inside a SQLite URL."""
    import os
    import re

    from rung.core.spec.source_names import is_address, is_hub

    def moved(name: str) -> str:
        return Path(os.path.relpath(Path(name).resolve(), target.resolve().parent)).as_posix()

    sqlite = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/?:][^?]*)(.*)", path)
    if sqlite and not Path(sqlite[2]).is_absolute():
        return sqlite[1] + moved(sqlite[2]) + sqlite[3]
    return path if is_address(path) or is_hub(path) else moved(path)
