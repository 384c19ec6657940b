"""Print the leaderboard and verdict of a report to the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

# Columns at which all metrics fit beside the prices.
_WIDE = 110


def print_outcome(report: Mapping[str, Any], folder: Path, bundle: Path) -> None:
    """Print leaderboard, certificate or refusal, advice, and where things are."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(_table(report, console.width))
    certificate = report["certificate"]
    if certificate:
        claim = certificate["claim"]
        console.print(f"[green]Cleared.[/green] {escape(claim[0].upper() + claim[1:])}")
    elif report["data"]["certification"] == 0:
        console.print("[yellow]No certificate was asked for; nothing is claimed.[/yellow]")
    else:
        console.print("[yellow]No rung clears the bar.[/yellow] The best one is packed, marked uncertified.")
    for line in report["advice"]:
        console.print(f"- {line}", markup=False)
    console.print(f"report  {folder / 'report.html'}\nbundle  {bundle}", markup=False)


def _table(report: Mapping[str, Any], width: int) -> Table:
    """Return the leaderboard; on a narrow terminal with the bar's metric alone, the report has the others."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = list(dict.fromkeys(name for trial in report["trials"] for name in trial["scores"]))
    if width < _WIDE:
        names = [name for name in names if name == report["metric"]]
    table.add_column("rung", no_wrap=True)
    for head in (*names, "p50 ms", "rows/s", "MB", "USD / 1k", "fit s"):
        table.add_column(escape(head), justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for trial in report["trials"]:
        won = trial["rung"] == report["winner"]
        cells = [f"{trial['scores'][name]:.4f}" if name in trial["scores"] else "" for name in names]
        cells += [
            f"{trial['latency_ms']['p50']:.2f}",
            f"{trial['throughput_per_s']:,.0f}",
            f"{trial['size_mb']:.2f}",
            f"{trial['usd_per_1k']:.7f}",
            f"{trial['fit_seconds']:.1f}",
        ]
        table.add_row(escape(trial["rung"]), *cells, trial["status"], style="bold" if won else None)
    return table
