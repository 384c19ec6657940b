"""Print the leaderboard and result of a report to the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from rung.building.advice import is_unasked
from rung.cli.options import console
from rung.core.messages import join_sentences, metric_name, money, say
from rung.pages.report import certificate_claim, trial_status

# Terminal width at which all metrics fit beside the prices.
_WIDE = 110


def print_outcome(report: Mapping[str, Any], folder: Path, bundle: Path, lang: str) -> None:
    """Print leaderboard, certificate or refusal, advice, and file locations."""
    screen = console()
    screen.print(_table(report, screen.width, lang))
    if report["certificate"]:
        words = join_sentences(lang, certificate_claim(report, lang), say("certificate.lock", lang))
        cleared = f"[green]{escape(say('term.cleared', lang))}[/green]"
        screen.print(join_sentences(lang, cleared, escape(words)))
    elif is_unasked(report["data"]):
        screen.print(f"[yellow]{escape(say('term.unasked', lang))}[/yellow]")
    else:
        refused, packed = (escape(say(f"term.{key}", lang)) for key in ("refused", "packed"))
        screen.print(join_sentences(lang, f"[yellow]{refused}[/yellow]", packed))
    for trial in report["trials"]:
        if trial["status"] == "failed":
            why = say("term.rung_failed", lang, rung=trial["rung"], problem=trial["problem"])
            screen.print(f"[yellow]{escape(why)}[/yellow]")
    spent = report.get("spent") or {"calls": 0}
    if spent["calls"]:
        usd = money(spent["usd"], lang)
        screen.print(escape(say("term.spent", lang, calls=spent["calls"], usd=usd)))
    for line in _advice(report, lang):
        screen.print(f"- {line}", markup=False)
    screen.print(say("term.report", lang, path=folder / "report.html"), markup=False)
    screen.print(say("term.bundle", lang, path=bundle), markup=False)


def _advice(report: Mapping[str, Any], lang: str) -> list[str]:
    items = report.get("advice_items")
    if items is None:
        return list(report["advice"])
    return [say(f"advice.{item['key']}", lang, **item["values"]) for item in items]


def _table(report: Mapping[str, Any], width: int, lang: str) -> Table:
    """Return the leaderboard; on a narrow terminal only with the metric of the bar."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = list(dict.fromkeys(name for trial in report["trials"] for name in trial["scores"]))
    if width < _WIDE:
        names = [name for name in names if name == report["metric"]]
    table.add_column(say("ladder.rung", lang), no_wrap=True)
    heads = [say(f"board.{name}", lang) for name in ("p50", "rate", "size")]
    named = [metric_name(name, lang) for name in names]
    for head in (*named, *heads, say("ladder.price", lang), say("board.fit", lang)):
        table.add_column(escape(head), justify="right", no_wrap=True)
    table.add_column(say("board.status", lang), no_wrap=True)
    for trial in report["trials"]:
        won = trial["rung"] == report["winner"]
        cells = _figures(trial, names)
        shown = trial_status(trial["status"], lang)
        table.add_row(escape(trial["rung"]), *cells, escape(shown), style="bold" if won else None)
    return table


def _figures(trial: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the cells of a trial's scores and measurements: empty ones for a rung that failed."""
    if not trial["scores"]:
        return [""] * (len(names) + 5)
    return [
        *(f"{trial['scores'][name]:.4f}" if name in trial["scores"] else "" for name in names),
        f"{trial['latency_ms']['p50']:.2f}",
        f"{trial['throughput_per_s']:,.0f}",
        f"{trial['size_mb']:.2f}",
        f"{trial['usd_per_1k']:.7f}",
        f"{trial['fit_seconds']:.1f}",
    ]
