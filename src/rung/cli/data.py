"""`rung data`: check the data, apply label corrections, restore excluded rows."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, lang, print_json
from rung.cli.restore import restore
from rung.cli.terminal import echo


@click.group(epilog="\b\nExamples:\n  rung data check\n  rung data check product.yaml --labels --out findings\n  rung data correct product.yaml findings/labels.csv")  # fmt: skip
def command() -> None:
    """Check the data of a product, apply label corrections, and restore excluded rows."""


@command.command(
    epilog="\b\nExamples:\n  rung data check\n  rung data check product.yaml --out findings\n"
    "  rung data check product.yaml --labels --out findings --lang zh"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option(
    "--labels",
    is_flag=True,
    help="Also search for likely wrong labels. Fixes the train/certification split, as a build does.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write findings.json and one CSV per finding to this folder.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 256), help="Files read at the same time. Default: `budget.workers` of the product file.")  # fmt: skip
@as_json
def check(product: Path, labels: bool, out: Path | None, workers: int | None, as_json: bool) -> None:
    """Check the data of PRODUCT (default: product.yaml) and show example rows for every finding.

    Certification rows are checked without their labels and are never shown. The data is not changed; without
    --labels certificate.lock is not written either, so that you can still edit the spec.
    """
    from rung.cli.findings import CheckProgress, print_findings
    from rung.workflows.check import check as check_data
    from rung.workflows.check import write_findings

    words = lang()
    with CheckProgress(words, quiet=as_json) as progress:
        checked = check_data(product, labels, progress, workers)
    files = write_findings(checked, out) if out else []
    if as_json:
        print_json({**checked.as_dict(), "written": [str(path) for path in files]})
    else:
        print_findings(checked.as_dict(), files, words)


@command.command(
    epilog="\b\nExamples:\n  rung data correct product.yaml findings/labels.csv\n"
    "  rung data correct product.yaml findings/labels.csv --accept"
)
@click.argument("product", type=click.Path(path_type=Path))
@click.argument("labels", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--accept", is_flag=True, help="Use the suggested label where the column `correct` is empty.")
@as_json
def correct(product: Path, labels: Path, accept: bool, as_json: bool) -> None:
    """Add the column `correct` of LABELS to corrections.csv beside PRODUCT.

    The data files are not changed. A build applies the corrections to training rows if the spec names the file
    (`data: {corrections: corrections.csv}`); certification rows keep their labels.
    """
    from rung.core.messages import say
    from rung.workflows.check import correct as correct_data

    words = lang()
    done = correct_data(product, labels, accept)
    if as_json:
        print_json({"file": str(done.file), "rows": done.rows, "new": done.new, "named": done.named})
        return
    echo(say("term.corrected", words, n=done.rows, new=done.new, file=done.file.name))
    if not done.named:
        echo(say("term.name_corrections", words, file=done.file.name))


command.add_command(restore)
