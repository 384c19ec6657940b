"""`rung data restore`: the rows that a build left out, with their text, as CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from rung.cli.options import as_json, lang, print_json

if TYPE_CHECKING:
    from rung.data.prepare.restore import Restored

_OURS = ("file", "row", "reason", "detail", "state")


@click.command(
    epilog="\b\nExamples:\n  rung data restore product.yaml\n"
    "  rung data restore product.yaml --reason missing_target --bare -o unlabelled.csv"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option("--run", type=click.Path(path_type=Path), help="Run folder; default: the newest below runs/.")
@click.option("--reason", "reasons", multiple=True, help="Only rows left out for this; may be given again.")
@click.option("--bare", is_flag=True, help="Only rows that were found, in the source's own columns: a file that build reads.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="CSV file; default: standard output.")  # fmt: skip
@as_json
def restore(
    product: Path, run: Path | None, reasons: tuple[str, ...], bare: bool, output: Path | None, as_json: bool
) -> None:
    """List the rows that a build of PRODUCT left out, with the reason and with their text from the source.

    A run keeps file, row and hash of them, never the text; a row that has changed since is said to have changed.
    """
    from rung.core import registry
    from rung.core.errors import InputError
    from rung.core.messages import say
    from rung.core.spec.product import load_product
    from rung.data.prepare.cast import with_inputs
    from rung.data.prepare.prepare import sources
    from rung.data.prepare.restore import restore as restore_rows

    words = lang()
    spec, base = load_product(product)
    task = registry.task(spec.task)
    spec = with_inputs(spec, base, task)
    data = (run or _newest(base / "runs", spec.name)) / "data"
    columns = list(dict.fromkeys(name for source, _ in sources(spec, base) for name in source.columns))
    rows = restore_rows(spec, base, task, data, reasons)
    if output is not None and output.exists():
        raise InputError("the file exists already", str(output), "Choose another name with -o.")
    counts: Counter[str] = Counter()
    if as_json and output is None:
        print_json([{name: getattr(row, name) for name in (*_OURS, "values")} for row in rows])
        return
    if output is None:
        counts = _write(rows, columns, sys.stdout, bare)
    else:
        with output.open("w", encoding="utf-8", newline="") as file:
            counts = _write(rows, columns, file, bare)
    if as_json:
        print_json({"file": str(output), **counts})
        return
    click.echo(say("term.restored", words, n=counts.total(), found=counts["found"]), err=True)


def _write(rows: Iterable[Restored], columns: Sequence[str], file: TextIO, bare: bool) -> Counter[str]:
    """Write the rows and return how many are in each state. A column called like one of ours gets another name."""
    names = {column: f"column:{column}" if column in _OURS and not bare else column for column in columns}
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*([] if bare else _OURS), *names.values()])
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.state] += 1
        if bare and row.state != "found":
            continue
        cells = [row.values.get(column) for column in names]
        plain = [
            "" if c is None else json.dumps(c, ensure_ascii=False) if isinstance(c, list | dict) else c
            for c in cells
        ]
        writer.writerow([*([] if bare else (getattr(row, name) for name in _OURS)), *plain])
    return counts


def _newest(runs: Path, name: str) -> Path:
    """Return the product's newest run that has prepared its data; raises RunError when there is none."""
    from rung.core.errors import RunError

    found = sorted(runs.glob(f"{name}-*/data/done.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise RunError(
            "no build of this product has prepared its data yet", str(runs), "rung build product.yaml"
        )
    return found[-1].parents[1]
