"""`rung data`: what is wrong with a product's data, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, lang, print_json, shared
from rung.cli.restore import restore


@click.group(epilog="\b\nExamples:\n  rung data check\n  rung data check product.yaml --labels --out findings\n  rung data correct product.yaml findings/labels.csv")  # fmt: skip
def command() -> None:
    """Check the data of a product, take corrections of it, and bring back what a build left out."""


@command.command(
    epilog="\b\nExamples:\n  rung data check\n  rung data check product.yaml --out findings\n"
    "  rung data check product.yaml --labels --out findings --lang zh"
)
@click.argument("product", type=click.Path(path_type=Path), default="product.yaml")
@click.option(
    "--labels", is_flag=True, help="Also look for likely wrong labels; fixes the split, as a build does."
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write findings.json and a CSV a finding here.")  # fmt: skip
@as_json
def check(product: Path, labels: bool, out: Path | None, as_json: bool) -> None:
    """Say what is wrong with the data of PRODUCT (default product.yaml), with the rows that show it.

    Rows that certify are looked at without their labels, and none of them is shown. Nothing is changed: without
    --labels not even certificate.lock, so what the checks say may still change the spec.
    """
    from rung.cli.findings import Checking, print_findings
    from rung.workflows.check import check as check_data
    from rung.workflows.check import write_findings

    words = lang()
    with Checking(words, quiet=as_json) as progress:
        checked = check_data(product, labels, progress)
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
@click.option("--accept", is_flag=True, help="Take the suggestion where the column `correct` is empty.")
@as_json
def correct(product: Path, labels: Path, accept: bool, as_json: bool) -> None:
    """Take the column `correct` of LABELS into corrections.csv beside PRODUCT.

    Your data stays as it is. A build reads the file when the spec names it (`data: {corrections: corrections.csv}`)
    and gives the corrected labels to training rows; rows that certify keep their own.
    """
    from rung.core.messages import say
    from rung.workflows.check import correct as correct_data

    words = lang()
    done = correct_data(product, labels, accept)
    if as_json:
        print_json({"file": str(done.file), "rows": done.rows, "new": done.new, "named": done.named})
        return
    click.echo(say("term.corrected", words, n=done.rows, new=done.new, file=done.file.name))
    if not done.named:
        click.echo(say("term.name_corrections", words, file=done.file.name))


command.add_command(restore)

# Options that every command takes stand behind these too.
for _command in command.commands.values():
    _command.params += shared()
