"""`rung drift`: test whether served data has drifted from the data of the build."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from rung.cli.options import as_json, console, lang, print_json
from rung.cli.terminal import echo


@click.command(
    epilog="\b\nExamples:\n  rung drift product.yaml\n  rung drift product.yaml --html drift.html\n"
    "  rung drift runs/desk-001/bundle --folder service --json\n  rung drift product.yaml --acknowledge ann\n\n\b\n"
    "Exit codes: 0 no drift, 3 drift. The tests are valid however often you run them."
)
@click.argument("product", type=click.Path(path_type=Path), default=Path("product.yaml"))
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False),
    help="Service folder with the journal. Default: serve.folder of the product.",
)  # fmt: skip
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write an HTML report, in --lang."
)
@click.option(
    "--acknowledge",
    metavar="NAME",
    help="Acknowledge the drift as NAME: end this period and start a new one.",
)
@click.option(
    "--against", type=click.Choice(["served", "training"]), default="served", show_default=True,
    help="With --acknowledge: reference of the new period. Choose training after a false alarm or a repaired data source.",
)  # fmt: skip
@as_json
def command(
    product: Path,
    folder: Path | None,
    html: Path | None,
    acknowledge: str | None,
    against: str,
    as_json: bool,
) -> None:
    """Compare the inputs and predictions served by PRODUCT's champion with the data of its build."""
    from rung.core.files import write_text
    from rung.core.messages import say
    from rung.pages.drift import reference_name as describe_reference
    from rung.pages.drift import render
    from rung.workflows import monitor

    words = lang()
    if acknowledge is not None:
        line = monitor.acknowledge(product, acknowledge, against, folder)
        if as_json:
            print_json(line)
        else:
            reference = describe_reference(against, line["reference_rows"], words)
            echo(say("drift.acknowledged", words, n=line["number"], who=acknowledge, against=reference))
        return
    found = monitor.check_drift(product, folder)
    if html:
        write_text(html, render(found.report, words))
        echo(say("term.wrote", words, path=html), err=True)
    if found.send_problem:
        echo(say("drift.not_told", words, problem=found.send_problem), err=True)
    if as_json:
        print_json(found.report)
    else:
        _print(found.report, words)
    click.get_current_context().exit(3 if found.report["drifted"] else 0)


def _print(report: Mapping[str, Any], words: str) -> None:
    """Print the verdict, the tests with the strongest evidence, and remarks."""
    from rich.markup import escape
    from rich.table import Table

    from rung.core.messages import count, say
    from rung.pages.drift import alarm_state, format_evidence, observed_mean, remarks, test_name, verdict

    screen = console()
    first, *more = verdict(report, words)
    colour = "red" if report["drifted"] else "green"
    screen.print(f"[bold {colour}]{escape(first)}[/]")
    for line in more:
        screen.print(f"  {line}", markup=False)
    shown = Table(box=None, pad_edge=False, title_justify="left")
    for key in ("test", "rows", "evidence", "needed", "state", "seen"):
        shown.add_column(
            say(f"drift.{key}", words), justify="right" if key in {"rows", "evidence", "needed"} else "left"
        )
    for test in report["tests"][:12]:
        cells = [test_name(test, words), count(test["rows"], words), format_evidence(test["evidence"]), format_evidence(test["needed"]), alarm_state(test, words), observed_mean(test, words)]  # fmt: skip
        shown.add_row(*map(escape, cells), style="red" if test["alarmed"] else None)
    screen.print(shown)
    for line in remarks(report, words):
        screen.print(line, markup=False, style="dim")
