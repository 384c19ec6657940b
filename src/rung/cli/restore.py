"""`rung data restore`: export the rows that a build excluded, with their text, as CSV."""

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
from rung.cli.terminal import echo

if TYPE_CHECKING:
    from rung.data.prepare.restore import Restored

_COLUMNS = ("file", "row", "reason", "detail", "state")


@click.command(
    epilog="\b\nExamples:\n  rung data restore product.yaml\n"
    "  rung data restore product.yaml --reason missing_target --bare -o unlabelled.csv"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option("--run", type=click.Path(path_type=Path), help="Run folder. Default: the newest below runs/.")
@click.option("--reason", "reasons", multiple=True, help="Only rows excluded for this reason. Repeatable.")
@click.option("--bare", is_flag=True, help="Only rows found in the source, with the source's columns: a file that build can read.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="CSV file. Default: standard output.")  # fmt: skip
@as_json
def restore(
    product: Path, run: Path | None, reasons: tuple[str, ...], bare: bool, output: Path | None, as_json: bool
) -> None:
    """Export the rows that a build of PRODUCT excluded, with the reason and their text from the source.

    A run stores file, row number and hash of excluded rows, not their text. Rows that changed since are marked as
    changed.
    """
    from rung.core import registry
    from rung.core.errors import InputError
    from rung.core.messages import say
    from rung.core.spec.product import load_product
    from rung.data.prepare.cast import with_inputs
    from rung.data.prepare.fingerprint import sources
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
        print_json([{name: getattr(row, name) for name in (*_COLUMNS, "values")} for row in rows])
        return
    if output is None:
        counts = _write(rows, columns, sys.stdout, bare)
    else:
        with output.open("w", encoding="utf-8", newline="") as file:
            counts = _write(rows, columns, file, bare)
    if as_json:
        print_json({"file": str(output), **counts})
        return
    echo(say("term.restored", words, n=counts.total(), found=counts["found"]), err=True)


def _write(rows: Iterable[Restored], columns: Sequence[str], file: TextIO, bare: bool) -> Counter[str]:
    """Write the rows and return the count per state. A source column named like an output column is renamed."""
    names = {column: f"column:{column}" if column in _COLUMNS and not bare else column for column in columns}
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*([] if bare else _COLUMNS), *names.values()])
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
        writer.writerow([*([] if bare else (getattr(row, name) for name in _COLUMNS)), *plain])
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
