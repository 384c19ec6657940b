"""`rung review`: review served predictions on a page or by CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rung.cli.options import as_json, console, heed_interrupts, lang, print_json, user_name

if TYPE_CHECKING:
    from rung.annotation.review_session import ReviewSession
    from rung.workflows.review import ServedProduct


@click.command(
    epilog="\b\nExamples:\n  rung review product.yaml\n  rung review product.yaml --export rows.csv --count 200\n"
    "  rung review product.yaml --import rows.csv --by Ana\n  rung review product.yaml --status --json"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option(
    "--by",
    metavar="NAME",
    help="Your name. Default: your login name. If the server has API keys, the page asks for one.",
)
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of the page on 127.0.0.1. Default: a free port.",
)
@click.option(
    "--export", type=click.Path(path_type=Path, dir_okay=False), help="Write rows to review to a CSV file."
)
@click.option(
    "--count",
    default=50,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Number of rows to export.",
)
@click.option(
    "--import",
    "labels",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Import answers from an exported CSV file.",
)
@click.option("--status", is_flag=True, help="Show the progress and exit.")
@as_json
def command(
    product: Path, by: str | None, port: int, export: Path | None, count: int, labels: Path | None, status: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Review predictions served by PRODUCT (default: product.yaml): the most informative rows and a random audit sample.

    Only audit rows certify, once all rows of a round are reviewed; the other answers train. Then run `rung improve`.
    """
    heed_interrupts()
    from rung.annotation.csv_io import export_rows, import_labels
    from rung.annotation.serializers import progress_to_dict
    from rung.core.errors import RungError
    from rung.core.messages import say
    from rung.workflows.review import open_review

    words = lang()
    if export is not None and labels is not None:
        raise RungError(
            "--export and --import cannot be combined",
            "",
            "Export the rows first, then import their answers.",
        )
    author = by or user_name()
    with open_review(product) as (served, session):
        screen = console(stderr=as_json)
        if export is not None:
            if export.exists():
                raise RungError(
                    "the file exists already",
                    str(export),
                    "Choose another name: the file may contain answers.",
                )
            rows = session.next_batch(author, count)
            export_rows(rows, export)
            screen.print(
                say("improve.wrote", words, n=len(rows), file=str(export), product=str(product)),
                markup=False,
            )
        elif labels is not None:
            done = import_labels(session, labels, author)
            screen.print(say("improve.imported", words, **done.as_dict()), markup=False)
        elif not status:
            _serve(served, session, port, author, words)
        progress = progress_to_dict(session, author) | {"without_input": served.n_unreadable}
        if as_json:
            print_json(progress)
            return
        audit = progress["audit"]
        total = say(
            "improve.total", words, reviewed=progress["labelled"], done=audit["done"], wanted=audit["wanted"]
        )
        screen.print(total, markup=False)
        if served.n_unreadable:
            screen.print(say("improve.not_shown", words, n=served.n_unreadable), markup=False)
        if (key := _next_step(progress)) is not None:
            missing = audit["wanted"] - audit["done"]
            screen.print(say(f"improve.{key}", words, n=missing, product=str(product)), markup=False)


def _next_step(progress: Mapping[str, Any]) -> str | None:
    """Return the message that says what to do next; None where nothing was labelled yet."""
    audit = progress["audit"]
    if audit["wanted"] > audit["done"] and not audit["whole"]:
        all_done = progress["labelled"] + progress["cannot"] >= progress["rows"]
        return "next_review_later" if all_done else "next_review"
    return "next" if audit["whole"] or progress["labelled"] else None


def _serve(served: ServedProduct, session: ReviewSession, port: int, author: str, words: str) -> None:
    """Show the page until Ctrl-C."""
    from rung.annotation.app import create_labelling_app, serve_labelling_page
    from rung.core.messages import say
    from rung.workflows.review import reviewer_identity

    screen = console(stderr=True)
    who = reviewer_identity(served)
    if who is not None:
        screen.print(say("improve.by_key", words), markup=False)
    serve_labelling_page(
        lambda token, hosts: create_labelling_app(session, token, hosts, words, author, session.title, who),
        port,
        lambda address: screen.print(say("improve.at", words, address=address), markup=False),
    )
