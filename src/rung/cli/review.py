"""`rung review`: what served answers should have been, on a page or by CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rung.cli.options import as_json, console, lang, own_name, print_json

if TYPE_CHECKING:
    from rung.annotation.review_session import ReviewSession
    from rung.workflows.review import ServedProduct


@click.command(
    epilog="\b\nExamples:\n  rung review product.yaml\n  rung review product.yaml --export rows.csv --count 200\n"
    "  rung review product.yaml --import rows.csv --by Ana\n  rung review product.yaml --status --json"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option(
    "--by", metavar="NAME", help="Who reviews; default: your name here. With keys, the page asks for one."
)
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of the page on 127.0.0.1; default: a free one.",
)
@click.option(
    "--export", type=click.Path(path_type=Path, dir_okay=False), help="Write rows to review as CSV."
)
@click.option(
    "--count", default=50, show_default=True, type=click.IntRange(1, 100_000), help="Rows to write."
)
@click.option(
    "--import",
    "labels",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read answers from such a CSV.",
)
@click.option("--status", is_flag=True, help="Say how far it has come, and stop.")
@as_json
def command(
    product: Path, by: str | None, port: int, export: Path | None, count: int, labels: Path | None, status: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Review what PRODUCT (default product.yaml) served: what is most worth a minute, and a random audit.

    Only the audit's rows certify, once all of a round are decided; what else is said teaches. Then `rung improve`.
    """
    from rung.annotation.csv_io import export_rows, import_labels
    from rung.annotation.serializers import progress_to_dict
    from rung.core.errors import RungError
    from rung.core.messages import say
    from rung.workflows.review import open_review

    words = lang()
    if export is not None and labels is not None:
        raise RungError("--export and --import at once", "", "First write the rows, then read their answers.")
    author = by or own_name()
    with open_review(product) as (served, desk):
        screen = console(stderr=as_json)
        if export is not None:
            if export.exists():
                raise RungError(
                    "the file exists already", str(export), "Choose another name: it may hold answers."
                )
            asked = desk.draw(author, count)
            export_rows(asked, export)
            screen.print(
                say("improve.wrote", words, n=len(asked), file=str(export), product=str(product)),
                markup=False,
            )
        elif labels is not None:
            done = import_labels(desk, labels, author)
            screen.print(say("improve.imported", words, **vars(done)), markup=False)
        elif not status:
            _serve(served, desk, port, author, words)
        told = progress_to_dict(desk, author) | {"without_input": served.gone}
        if as_json:
            print_json(told)
            return
        audit = told["audit"]
        total = say(
            "improve.total", words, reviewed=told["labelled"], done=audit["done"], wanted=audit["wanted"]
        )
        screen.print(total, markup=False)
        if served.gone:
            screen.print(say("improve.not_shown", words, n=served.gone), markup=False)
        if told["labelled"]:
            screen.print(say("improve.next", words, product=str(product)), markup=False)


def _serve(served: ServedProduct, desk: ReviewSession, port: int, author: str, words: str) -> None:
    """Show the page until Ctrl-C."""
    from rung.annotation.app import create_labelling_app, serve_labelling_page
    from rung.core.messages import say
    from rung.workflows.review import reviewer_identity

    screen = console(stderr=True)
    who = reviewer_identity(served)
    if who is not None:
        screen.print(say("improve.by_key", words), markup=False)
    serve_labelling_page(
        lambda token, hosts: create_labelling_app(desk, token, hosts, words, author, desk.title, who),
        port,
        lambda address: screen.print(say("improve.at", words, address=address), markup=False),
    )
