"""`rung label`: label rows on a page or by CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rung.cli.options import as_json, console, heed_interrupts, lang, print_json, user_name

if TYPE_CHECKING:
    from rung.annotation.session import LabellingSession


@click.command(
    epilog="\b\nExamples:\n  rung label product.yaml\n  rung label product.yaml --by Ana --port 8765\n"
    "  rung label product.yaml --export rows.csv --count 50\n  rung label product.yaml --import rows.csv --by Ana\n\n\b\n"
    "product.yaml lists the labels:\n  labelling:\n    labels: {billing: money and invoices, delivery: where is it}\n"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option("--by", metavar="NAME", help="Your name. Default: your login name; the page asks for it.")
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of the page on 127.0.0.1. Default: a free port.",
)
@click.option(
    "--export",
    "export",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write rows to label to a CSV file.",
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
    help="Import labels from an exported CSV file.",
)
@click.option("--status", is_flag=True, help="Show the progress and exit.")
@as_json
def command(
    product: Path, by: str | None, port: int, export: Path | None, count: int, labels: Path | None, status: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Label rows of PRODUCT (default: product.yaml): cluster representatives, uncertain rows, and a random sample.

    The random sample certifies once every row of an interval is labelled; the other rows train. Then run
    `rung build`.
    """
    heed_interrupts()
    from rung.annotation.csv_io import export_rows, import_labels
    from rung.annotation.serializers import progress_to_dict
    from rung.core.errors import RungError
    from rung.core.messages import say
    from rung.workflows.label import open_labelling_session

    words = lang()
    if export is not None and labels is not None:
        raise RungError(
            "--export and --import cannot be combined", "", "Export the rows first, then import their labels."
        )
    author = by or user_name()
    with open_labelling_session(product, background=not (export or labels or status)) as session:
        screen = console(stderr=as_json)
        if export is not None:
            if export.exists():
                raise RungError(
                    "the file exists already",
                    str(export),
                    "Choose another name: the file may contain labels.",
                )
            rows = session.next_batch(author, count)
            export_rows(rows, export)
            screen.print(
                say("label.wrote", words, n=len(rows), file=str(export), product=str(product)), markup=False
            )
        elif labels is not None:
            done = import_labels(session, labels, author)
            screen.print(say("label.read", words, **done.as_dict()), markup=False)
        elif not status:
            _serve(session, port, author, words)
        progress = progress_to_dict(session, author)
        if as_json:
            print_json(progress)
            return
        audit = progress["audit"]
        totals = say(
            "label.total", words, labelled=progress["labelled"], done=audit["done"], wanted=audit["wanted"]
        )
        screen.print(totals, markup=False)
        if progress["labelled"]:
            screen.print(say("label.next", words, product=str(product)), markup=False)


def _serve(session: LabellingSession, port: int, author: str, words: str) -> None:
    """Show the page until Ctrl-C."""
    from rung.annotation.app import create_labelling_app, serve_labelling_page
    from rung.core.messages import say

    screen = console(stderr=True)
    reader = session.strategy.featurizer_name
    if reader == "words":
        screen.print(say("label.words", words, name="minilm e5_small"), markup=False)
    else:
        screen.print(say("label.reader", words, reader=reader), markup=False)
    serve_labelling_page(
        lambda token, hosts: create_labelling_app(session, token, hosts, words, author, session.title),
        port,
        lambda address: screen.print(say("label.at", words, address=address), markup=False),
    )
