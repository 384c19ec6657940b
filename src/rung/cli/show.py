"""`rung show`: show the leaderboard of a run, or follow a running build."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from rung.cli.options import as_json, lang, print_json
from rung.cli.terminal import echo

# Poll interval for the event log, which another process writes.
_POLL_SECONDS = 0.3


@click.command(
    epilog="\b\nExamples:\n  rung show\n  rung show runs/tickets-001 --json\n  rung show --watch\n"
    "  rung show runs/tickets-001 --lang zh --html report.zh.html"
)
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.option("--watch", is_flag=True, help="Follow a build in another process until it ends.")
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the HTML report, in --lang.",
)
@as_json
def command(run: Path | None, watch: bool, html: Path | None, as_json: bool) -> None:
    """Show the leaderboard of RUN (default: the newest below runs/)."""
    from rung.cli.leaderboard import print_outcome
    from rung.core.errors import RunError
    from rung.core.files import read_json, write_text
    from rung.core.messages import say
    from rung.pages.report import render

    words = lang()
    folder = run or _newest(Path("runs"), "events.jsonl" if watch else "report.json")
    if watch:
        _watch(folder, words, quiet=as_json)
    path = folder / "report.json"
    if not path.is_file():
        fix = "`rung build` finishes an unfinished run; `rung show runs/<name>-NNN` shows a finished one."
        raise RunError("there is no finished run here", str(folder), fix)
    report = read_json(path)
    if html:
        write_text(html, render(report, words))
        echo(say("term.wrote", words, path=html), err=True)
    if as_json:
        print_json(report)
    else:
        print_outcome(report, folder, folder / "bundle", words)


def _watch(folder: Path, words: str, quiet: bool) -> None:
    """Show a run's events as they are written, until the build is done or its process has ended."""
    from rung.cli.progress import Progress
    from rung.core.errors import RunError
    from rung.core.messages import say
    from rung.core.run import is_building

    log = folder / "events.jsonl"
    if not log.is_file():
        raise RunError("there is no run here to watch", str(folder), "Start one: rung build product.yaml")
    if not quiet:
        echo(say("term.waiting", words, folder=folder), err=True)
    with Progress(words, quiet) as progress, log.open(encoding="utf-8") as lines:
        while True:
            alive = is_building(folder)
            for event in _read_new_events(lines):
                kind, at = event.pop("event"), event.pop("at")
                progress(kind, event, at)
                if kind == "done" and not alive:
                    return
            if not alive:
                return
            time.sleep(_POLL_SECONDS)


def _read_new_events(lines: Any) -> list[dict[str, Any]]:
    """Return the complete lines added since the last call; an incomplete line is read next time."""
    found: list[dict[str, Any]] = []
    while True:
        position = lines.tell()
        line = lines.readline()
        if not line.endswith("\n"):
            lines.seek(position)
            return found
        found.append(json.loads(line))


def _newest(folder: Path, name: str) -> Path:
    found = sorted(folder.glob(f"*/{name}"), key=lambda path: path.stat().st_mtime)
    return found[-1].parent if found else folder
