"""`rung export`: write a bundle for a place where rung is not installed."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, lang, print_json
from rung.cli.terminal import echo


@click.command(
    epilog="\b\nExamples:\n  rung export runs/news-001 --to wheel\n  rung export runs/news-001/bundle --to wheel --out dist --rows more.csv\n\n"
    "\b\nExit codes: 0 exported, 2 user error, 3 the export answers otherwise than the server: only its report is written."
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--to",
    required=True,
    type=click.Choice(["wheel", "c", "browser", "docker", "onnx"]),
    help="What to write.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write. Default: export-<target> beside the bundle.",
)
@click.option(
    "--rows", type=click.Path(path_type=Path),
    help="Table of rows to compare answers on. Default: the validation rows of the run that BUNDLE lies in.",
)  # fmt: skip
@as_json
def command(bundle: Path, to: str, out: Path | None, rows: Path | None, as_json: bool) -> None:
    """Write BUNDLE (or the winner of a run) for a place without rung, and hold its answers against the server's."""
    from rung.exporting.report import PAGE, summary
    from rung.workflows.export import export

    words = lang()
    found = export(bundle, to, out=out, rows=rows, lang=words)
    if as_json:
        print_json({**found.report, "folder": str(found.folder)})
    else:
        for line in summary(found.report, words):
            echo(line)
        echo(str(found.folder / PAGE))
    click.get_current_context().exit(0 if found.ok else 3)
