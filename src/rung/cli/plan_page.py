"""Print a plan to the terminal, with the sentences of plan.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from rung.cli.columns import table_that_fits
from rung.core.messages import say
from rung.pages import plan_text
from rung.pages.families import family_text

# Name, expected score, price, seconds in all, of a fit, number of fits, size, memory.
_LADDER_PRIORITY = (0, 1, 2, 5, 4, 3, 7, 6)
_SIGNS = {"go": ("✓", "green"), "slow": ("!", "yellow"), "stop": ("✗", "red")}


def print_plan(console: Console, plan: Mapping[str, Any], lang: str) -> None:
    """Print overview, readiness, ladder, bar and duties."""
    console.print(plan_text.source_text(plan, lang), markup=False)
    _print_heading(console, say("scene.title", lang))
    for line in [*plan_text.task_lines(plan, lang), *plan_text.driver_lines(plan, lang)]:
        console.print(f"  {line}", markup=False)
    _print_heading(console, say("ready.title", lang))
    for light, line in plan_text.readiness_lines(plan, lang):
        sign, colour = _SIGNS[light]
        console.print(f"  [{colour}]{sign}[/{colour}] ", end="")
        console.print(line, markup=False)
    _print_heading(console, say("ladder.title", lang))
    head, rows = plan_text.ladder_head(plan, lang), plan_text.ladder_rows(plan, lang)
    columns = [list(column) for column in zip(head, *rows, strict=True)]
    console.print(Padding(table_that_fits(columns, console.width - 2, _LADDER_PRIORITY), (0, 0, 0, 2)))
    for line in plan_text.time_lines(plan, lang):
        console.print(f"  {line}", markup=False)
    for rung in plan["ladder"]:
        if words := family_text(rung["model"], lang):
            console.print(
                "  " + say("term.winner", lang, rung=rung["rung"], what=words), markup=False, style="dim"
            )
    for note in plan_text.ladder_notes(plan, lang):
        console.print(f"  {note}", markup=False, style="dim")
    _print_heading(console, say("yourbar.title", lang))
    for line in plan_text.bar_lines(plan, lang):
        console.print(f"  {line}", markup=False)
    console.print(
        _table([say("yourbar.quality", lang), say("yourbar.rows", lang)], plan_text.rows_needed(plan, lang))
    )
    console.print(f"  {plan_text.certification_rows(plan, lang)}", markup=False)
    _print_heading(console, say("duties.title", lang))
    for kind, lines in plan_text.regulation_lines(plan, lang):
        console.print(f"  {kind}", style="bold", markup=False)
        for line in lines:
            console.print(f"    {line}", markup=False)
    for line in plan_text.regulation_notes(plan, lang):
        console.print(f"  {line}", markup=False, style="dim")


def _print_heading(console: Console, words: str) -> None:
    console.print(f"\n{words}", style="bold", markup=False)


def _table(head: list[str], rows: list[list[str]]) -> Table:
    from rich.markup import escape

    table = Table(box=None, pad_edge=True, header_style="bold")
    for index, name in enumerate(head):
        table.add_column(escape(name), justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in rows:
        table.add_row(*map(escape, row))
    return table
