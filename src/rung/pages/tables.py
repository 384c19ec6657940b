"""The report's section for tables: thresholds, feature importance, partial dependence, largest errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.messages import percent, say, significant
from rung.pages.charts import ChartLabels, line_chart
from rung.pages.elements import figure, paragraph, section, table, text
from rung.pages.quality import evaluation_source

_MAX_ROWS = 12
_ALT = {"gain": "tables.gain_alt", "pr": "tables.pr_alt"}


def tables_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the section; "" for a product without these results."""
    details, study = report["details"], report.get("study", {})
    parts = [
        _thresholds(details.get("thresholds"), report, lang),
        _importance(study.get("importance"), lang),
        _misses(details.get("misses"), lang),
    ]
    return section("tables", say("tables.title", lang), *parts) if any(parts) else ""


def _thresholds(found: Mapping[str, Any] | None, report: Mapping[str, Any], lang: str) -> str:
    if not found or not found["table"]:
        return ""
    keys = [k for k in ("threshold", "alarms", "precision", "recall", "cost") if k in found["table"][0]]
    rows = [[_cell(key, line[key]) for key in keys] for line in found["table"]]
    read = say(
        "tables.thresholds_read", lang, n=found["rows"], positives=found["positives"], positive=found["positive"],
        ks=f"{found['ks']:.3f}",
    )  # fmt: skip
    charts = _curve(found["gain"], "gain", lang) + _curve(found["precision_recall"], "pr", lang)
    lift = table(
        [say("tables.gain_x", lang), say("tables.lift", lang)],
        [[percent(item["share"]), f"{item['lift']:.2f}"] for item in found["lift"]],
        say("tables.gain", lang),
    )
    return (
        _heading("thresholds", lang)
        + table([say(f"tables.{key}", lang) for key in keys], rows, read)
        + paragraph(evaluation_source(report, lang), "note")
        + f'<div class="figures">{charts}</div>{lift}'
    )


def _cell(key: str, value: float) -> str:
    if key in {"precision", "recall"}:
        return percent(value, 1)
    return f"{value:,}" if key == "alarms" else significant(value)


def _curve(points: Any, which: str, lang: str) -> str:
    pairs = [(max(float(x), 1e-4), float(y)) for x, y in points]
    if len(pairs) < 2:
        return ""
    x, y = ("gain_x", "gain_y") if which == "gain" else ("recall", "precision")
    chart = ChartLabels(
        say(f"tables.{which}", lang),
        say(_ALT[which], lang),
        say(f"tables.{x}", lang),
        say(f"tables.{y}", lang),
    )
    numbers = table([chart.x, chart.y], [[percent(a, 1), percent(b, 1)] for a, b in pairs], chart.title)
    return f"<div><h4>{text(chart.title)}</h4>{figure(line_chart(pairs, chart, None), chart.description, numbers, lang)}</div>"


def _importance(found: Mapping[str, Any] | None, lang: str) -> str:
    if not found:
        return ""
    rows = [[item["name"], f"{item['worse']:+.4f}"] for item in found["columns"][:_MAX_ROWS]]
    read = say("tables.importance_read", lang, metric=found["metric"], n=found["rows"])
    shown = _heading("importance", lang) + table(
        [say("tables.column", lang), say("tables.worse", lang)], rows, read
    )
    if found["dependence"]:
        moves = [
            table(
                [say("tables.value", lang), say("tables.answer", lang)],
                [[significant(x), significant(y)] for x, y in item["points"]],
                item["name"],
            )
            for item in found["dependence"]
        ]
        shown += _heading("dependence", lang) + paragraph(say("tables.dependence_read", lang), "note")
        shown += f'<div class="figures">{"".join(f"<div>{move}</div>" for move in moves)}</div>'
    return shown


def _misses(found: Any, lang: str) -> str:
    if not found:
        return ""
    rows = [
        [str(m.get("row", "")), f"{m['truth']:g}", f"{m['answer']:.6g}", str(m.get("input", ""))[:160]]
        for m in found[:_MAX_ROWS]
    ]
    head = [say(f"tables.{key}", lang) for key in ("row", "truth", "answer", "input")]
    return _heading("misses", lang) + table(head, rows, say("tables.misses", lang), kind="left")


def _heading(key: str, lang: str) -> str:
    return f"<h3>{text(say(f'tables.{key}', lang))}</h3>"
