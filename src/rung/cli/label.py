"""`rung label`: labels for rows that have none, on a page or by CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rung.cli.options import as_json, console, lang, own_name, print_json

if TYPE_CHECKING:
    from rung.annotation.session import LabellingSession


@click.command(
    epilog="\b\nExamples:\n  rung label product.yaml\n  rung label product.yaml --by Ana --port 8765\n"
    "  rung label product.yaml --export rows.csv --count 50\n  rung label product.yaml --import rows.csv --by Ana\n\n\b\n"
    "product.yaml says which labels there are:\n  labelling:\n    labels: {billing: money and invoices, delivery: where is it}\n"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option(
    "--by", metavar="NAME", help="Who labels; default: your name on this machine. The page asks for it."
)
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of the page on 127.0.0.1; default: a free one.",
)
@click.option(
    "--export", "export", type=click.Path(path_type=Path, dir_okay=False), help="Write rows to label as CSV."
)
@click.option(
    "--count", default=50, show_default=True, type=click.IntRange(1, 100_000), help="Rows to write."
)
@click.option(
    "--import", "labels", type=click.Path(path_type=Path, dir_okay=False), help="Read labels from such a CSV."
)
@click.option("--status", is_flag=True, help="Say how far it has come, and stop.")
@as_json
def command(
    product: Path, by: str | None, port: int, export: Path | None, count: int, labels: Path | None, status: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Label the rows of PRODUCT (default product.yaml): clusters first, then what teaches most, and a share at random.

    Random rows certify once all of an interval are labelled; chosen ones train. Then `rung build` as ever.
    """
    from rung.annotation.csv_io import export_rows, import_labels
    from rung.annotation.serializers import progress_to_dict
    from rung.core.errors import RungError
    from rung.core.messages import say
    from rung.workflows.label import open_labelling_session

    words = lang()
    if export is not None and labels is not None:
        raise RungError("--export and --import at once", "", "First write the rows, then read their labels.")
    author = by or own_name()
    with open_labelling_session(product, background=not (export or labels or status)) as desk:
        screen = console(stderr=as_json)
        if export is not None:
            if export.exists():
                raise RungError(
                    "the file exists already", str(export), "Choose another name: it may hold labels."
                )
            asked = desk.draw(author, count)
            export_rows(asked, export)
            screen.print(
                say("label.wrote", words, n=len(asked), file=str(export), product=str(product)), markup=False
            )
        elif labels is not None:
            done = import_labels(desk, labels, author)
            screen.print(say("label.read", words, **vars(done)), markup=False)
        elif not status:
            _serve(desk, port, author, words)
        told = progress_to_dict(desk, author)
        if as_json:
            print_json(told)
            return
        audit = told["audit"]
        totals = say(
            "label.total", words, labelled=told["labelled"], done=audit["done"], wanted=audit["wanted"]
        )
        screen.print(totals, markup=False)
        if told["labelled"]:
            screen.print(say("label.next", words, product=str(product)), markup=False)


def _serve(desk: LabellingSession, port: int, author: str, words: str) -> None:
    """Show the page until Ctrl-C."""
    from rung.annotation.app import create_labelling_app, serve_labelling_page
    from rung.core.messages import say

    screen = console(stderr=True)
    reader = desk.tutor.reader_name
    if reader == "words":
        screen.print(say("label.words", words, name="minilm e5_small"), markup=False)
    else:
        screen.print(say("label.reader", words, reader=reader), markup=False)
    serve_labelling_page(
        lambda token, hosts: create_labelling_app(desk, token, hosts, words, author, desk.title),
        port,
        lambda address: screen.print(say("label.at", words, address=address), markup=False),
    )
