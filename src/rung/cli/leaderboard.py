"""Print the leaderboard and result of a report to the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from rung.building.advice import is_unasked
from rung.building.climb_findings import STOPPED, stopping_keys
from rung.cli.columns import table_that_fits
from rung.cli.options import console
from rung.core.messages import join_sentences, metric_name, money, say, significant
from rung.core.messages.sentences import in_language
from rung.pages.families import family_text
from rung.pages.races import race_lines
from rung.pages.report import certificate_claim, trial_status

# Columns in the order in which a narrow terminal keeps them; the metrics other than that of the bar come last.
_PRIORITY = ("rung", "metric", "status", "price", "p50", "size", "rate", "fit", "metrics")


def print_outcome(report: Mapping[str, Any], folder: Path, bundle: Path, lang: str) -> None:
    """Print leaderboard, certificate or refusal, advice, and file locations."""
    screen = console()
    screen.print(_table(report, screen.width, lang))
    models = {trial["rung"]: trial.get("model", "") for trial in report["trials"]}
    if words := family_text(models.get(report["winner"], ""), lang):
        screen.print(say("term.winner", lang, rung=report["winner"], what=words), markup=False, style="dim")
    stopped = stopping_keys(report.get("findings", ()))
    if stopped:
        keys = ", ".join(stopped)
        screen.print(f"[red]{escape(say('term.stopped', lang, n=len(stopped), keys=keys))}[/red]")
    if report["certificate"]:
        words = join_sentences(lang, certificate_claim(report, lang), say("certificate.lock", lang))
        cleared = f"[green]{escape(say('term.cleared', lang))}[/green]"
        screen.print(join_sentences(lang, cleared, escape(words)))
    elif any(trial["status"] == STOPPED for trial in report["trials"]):
        screen.print(f"[yellow]{escape(say('term.packed', lang))}[/yellow]")
    elif is_unasked(report["data"]):
        screen.print(f"[yellow]{escape(say('term.unasked', lang))}[/yellow]")
    else:
        refused, packed = (escape(say(f"term.{key}", lang)) for key in ("refused", "packed"))
        screen.print(join_sentences(lang, f"[yellow]{refused}[/yellow]", packed))
    for trial in report["trials"]:
        if trial["status"] == "failed":
            why = say(
                "term.rung_failed", lang, rung=trial["rung"], problem=in_language(trial["problem"], lang)
            )
            screen.print(f"[yellow]{escape(why)}[/yellow]")
    for line in race_lines(report, lang):
        screen.print(line, markup=False, style="dim")
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
    """Return the leaderboard with the columns that fit the width; the first three are always there."""
    columns = _columns(report, lang)
    keys = list(columns)
    priority = [place for kind in _PRIORITY for place, key in enumerate(keys) if key[0] == kind]
    left = {place for place, key in enumerate(keys) if key[0] in {"rung", "status"}}
    won = [row for row, trial in enumerate(report["trials"]) if trial["rung"] == report["winner"]]
    return table_that_fits(list(columns.values()), width, priority, left=left, always=3, bold=won)


def _columns(report: Mapping[str, Any], lang: str) -> dict[tuple[str, str], list[str]]:
    """Return (kind, name) -> head and cells of every column, in the order of the table."""
    trials, metric = report["trials"], report["metric"]
    names = dict.fromkeys(name for trial in trials for name in trial["scores"])
    columns = {("rung", ""): [say("board.rung", lang), *(trial["rung"] for trial in trials)]}
    for name in names:
        cells = [f"{t['scores'][name]:.4f}" if name in t["scores"] else "" for t in trials]
        columns["metric" if name == metric else "metrics", name] = [metric_name(name, lang), *cells]
    measured: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "p50": lambda t: f"{t['latency_ms']['p50']:.2f}",
        "rate": lambda t: f"{t['throughput_per_s']:,.0f}",
        "size": lambda t: f"{t['size_mb']:.1f}",
        "price": lambda t: significant(t["usd_per_1k"] * 1000),
        "fit": lambda t: f"{t['fit_seconds']:.1f}",
    }
    for kind, cell in measured.items():
        # A rung that failed has no measurements.
        cells = [cell(t) if t["scores"] else "" for t in trials]
        columns[kind, ""] = [say(f"board.{kind}", lang), *cells]
    columns["status", ""] = [say("board.status", lang), *(trial_status(t["status"], lang) for t in trials)]
    return columns
