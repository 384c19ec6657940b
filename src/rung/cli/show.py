"""`rung show`: the leaderboard of a run, again."""

from __future__ import annotations

from pathlib import Path

import click

from rung.cli.options import as_json, print_json


@click.command(epilog="\b\nExamples:\n  rung show\n  rung show runs/tickets-001 --json")
@click.argument("run", type=click.Path(path_type=Path), required=False)
@as_json
def command(run: Path | None, as_json: bool) -> None:
    """Show the leaderboard of RUN, by default the newest below runs/."""
    from rung.cli.leaderboard import print_outcome
    from rung.core.errors import RunError
    from rung.core.files import read_json

    folder = run or _newest(Path("runs"))
    path = folder / "report.json"
    if not path.is_file():
        fix = "`rung build` finishes an unfinished run; `rung show runs/<name>-NNN` shows a finished one."
        raise RunError("there is no finished run here", str(folder), fix)
    report = read_json(path)
    if as_json:
        print_json(report)
    else:
        print_outcome(report, folder, folder / "bundle")


def _newest(folder: Path) -> Path:
    reports = sorted(folder.glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    return reports[-1].parent if reports else folder
