"""Render compress.html, and the same in sentences for the terminal: what became smaller, what it lost, what was tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.messages import duration, localized, metric_name, money, percent, say, significant
from rung.core.messages.sentences import in_language
from rung.pages.charts import ChartLabels, pareto_chart
from rung.pages.elements import box, bullets, figure, page, paragraph, section, table, text
from rung.pages.report import certificate_claim

Report = Mapping[str, Any]
# Rows of the table before and after: key of its message, key of a candidate.
_FIGURES = (
    ("size", "size_mb"), ("rate", "throughput_per_s"), ("cpu", "cpu_seconds_per_1k"), ("wh", "wh_per_1k"), ("co2", "g_co2_per_1k"),
    ("usd", "usd_per_1k"), ("memory", "peak_memory_mb"),
)  # fmt: skip


def render(report: Report, lang: str = "en") -> str:
    """Return the page."""
    title = say("compress.page_title", lang, product=report["product"])
    first, *more = summary(report, lang)
    kind = "good" if report["verdict"] == "compressed" else "warn"
    top = f"<h1>{text(title)}</h1>" + box(paragraph(first, "lead") + "".join(map(paragraph, more)), kind)
    notes = [localized(lang, report["prices"][key]) for key in ("machine", "energy", "grid")]
    parts = [_pareto(report, key, lang) for key in ("size", "price")]
    return page(
        lang, title,
        [
            top,
            section("before", say("compress.before_after", lang), _before_after(report, lang)),
            section("candidates", say("compress.candidates", lang), *parts, _table(report, lang)),
            section("prices", say("compress.prices", lang), bullets(notes)),
        ],
    )  # fmt: skip


def summary(report: Report, lang: str) -> list[str]:
    """Return what came of it, as sentences; the first says it all."""
    wanted, verdict = report["wanted"], report["verdict"]
    chosen = candidate(report, report["chosen"])
    values: dict[str, Any] = {"name": report["chosen"], "rung": report["rung"]}
    if chosen is not None:
        values |= {
            "before": significant(report["before"]["size_mb"], 3), "after": significant(chosen["size_mb"], 3),
            "lost": lost_text(report, chosen["lost"], lang), "metric": metric_name(report["metric"], lang),
        }  # fmt: skip
    size = say("compress.target_size", lang, mb=f"{wanted['size_mb']:g}") if wanted["size_mb"] else ""
    prefer = say(f"compress.prefer.{wanted['prefer']}", lang)
    loss = percent(wanted["max_loss"], 2)
    found = [
        say(f"compress.{verdict}", lang, **values),
        say("compress.target", lang, loss=loss, size=size, prefer=prefer),
    ]
    if verdict == "compressed":
        proof = report["certificate"]
        found.append(
            say("compress.certified", lang, claim=certificate_claim(report, lang))
            if proof
            else say("compress.uncertified", lang)
        )
    if verdict == "rejected" or report["certificate"]:
        found.append(say("compress.next_look", lang))
    if verdict == "refused":
        found += _nearest(report, lang)
    held = report["held_out"]
    how = say(f"method.{held['how']}", lang, n=held["folds"])
    found.append(say("compress.how", lang, n=held["rows"], how=how))
    if report["unlabelled_rows"]:
        found.append(say("compress.unlabelled", lang, n=report["unlabelled_rows"]))
    spent = report["spent"]
    found.append(
        say(
            "compress.spent", lang, time=duration(spent["seconds"], lang), wh=significant(spent["wh"]),
            g=significant(spent["g_co2"]), usd=money(spent["usd"], lang),
        )
    )  # fmt: skip
    return found


def _nearest(report: Report, lang: str) -> list[str]:
    small = candidate(report, report["smallest"])
    if small is not None:
        return [say("compress.smallest", lang, mb=significant(small["size_mb"], 3), name=small["name"])]
    made = measured(report)
    if not made or not all("lost" in one["problems"] for one in made):
        return [say("compress.see_table", lang)]
    near = min(made, key=lambda one: float(one["lost"]))
    return [say("compress.none_near", lang, name=near["name"], lost=lost_text(report, near["lost"], lang))]


def candidate(report: Report, name: str | None) -> Mapping[str, Any] | None:
    """Return a candidate by its name; None for none."""
    return next((one for one in report["candidates"] if one["name"] == name), None)


def measured(report: Report) -> list[Mapping[str, Any]]:
    """Return the candidates that were made and measured."""
    return [one for one in report["candidates"] if one["status"] == "measured"]


def lost_text(report: Report, lost: float, lang: str) -> str:
    """Return a loss in words: in points of the metric, or as a share where it has no largest value."""
    score = report["before"]["scores"][report["metric"]]
    points = 0 <= score <= 1 and report["higher_is_better"]
    amount = f"{abs(lost) * 100:.2f}" if points else percent(abs(lost), 2)
    if abs(lost) < 5e-5:
        return say("compress.as_before", lang)
    key = ("lost" if lost > 0 else "gained") if points else ("share_lost" if lost > 0 else "share_gained")
    return say(f"compress.{key}", lang, **({"points": amount} if points else {"share": amount}))


def verdict_text(report: Report, one: Mapping[str, Any], lang: str) -> str:
    """Return what became of a candidate: that it ships, or why it does not."""
    if one["name"] == report["chosen"]:
        return say("compress.chosen", lang) if report["verdict"] == "compressed" else ""
    if not one["problems"]:
        return say("compress.sound", lang)
    values = {"problem": in_language(one.get("problem", ""), lang), "base": one.get("skipped", "")}
    return "; ".join(say(f"compress.why.{key}", lang, **values) for key in one["problems"])


def step_text(one: Mapping[str, Any], lang: str) -> str:
    """Return what was done to make a candidate."""
    values = {k: percent(v, 1) if k == "share" else v for k, v in one["values"].items()}
    step = say(f"compress.step.{one['step']}", lang, **values)
    return say("compress.of", lang, step=step, base=one["base"]) if one["base"] else step


def rows(report: Report, lang: str) -> list[list[str]]:
    """Return the table of candidates; the winner as it was built comes first."""
    found = []
    for one in (report["before"], *report["candidates"]):
        made = one["status"] == "measured"
        figures = ["", "", "", "", ""]
        if made:
            figures = [
                lost_text(report, one["lost"], lang) if one["name"] != "winner" else "",
                significant(one["size_mb"], 3), significant(one["latency_ms"]["p50"], 2),
                significant(one["cpu_seconds_per_1k"], 2), significant(one["usd_per_1k"], 2),
            ]  # fmt: skip
        verdict = "" if one["name"] == "winner" else verdict_text(report, one, lang)
        name = say("compress.winner", lang) if one["name"] == "winner" else one["name"]
        found.append([name, step_text(one, lang), *figures, verdict])
    return found


def head(lang: str) -> list[str]:
    """Return the names of the columns of `rows`."""
    return [
        say(f"compress.head.{key}", lang)
        for key in ("name", "what", "lost", "size", "latency", "cpu", "usd", "verdict")
    ]


def _table(report: Report, lang: str) -> str:
    return table(
        head(lang), rows(report, lang), say("compress.table", lang), kind="left", winner=report["chosen"]
    )


def _before_after(report: Report, lang: str) -> str:
    chosen = candidate(report, report["chosen"])
    if chosen is None:
        return ""
    before = report["before"]
    metric = say("compress.row.score", lang, metric=metric_name(report["metric"], lang))
    pairs = [(say(f"compress.row.{key}", lang), before[of], chosen[of]) for key, of in _FIGURES]
    for key, of in (("latency", "p50"), ("latency95", "p95")):
        pairs.append((say(f"compress.row.{key}", lang), before["latency_ms"][of], chosen["latency_ms"][of]))
    lines = [
        [name, significant(old, 3), significant(new, 3), f"{new / old:.2f}" if old else ""]
        for name, old, new in pairs
    ]
    scores = [one["scores"][report["metric"]] for one in (before, chosen)]
    lines.append([metric, *(f"{score:.4f}" for score in scores), ""])
    names = ["", *(say(f"compress.{key}", lang) for key in ("before", "after", "factor"))]
    return table(names, lines, say("compress.before_after", lang))


def _pareto(report: Report, key: str, lang: str) -> str:
    """Return score against size or price, with the candidates that no other beats joined."""
    of = {"size": "size_mb", "price": "usd_per_1k"}[key]
    named = {"winner", report["chosen"], *report["front"][of]}
    points = []
    for one in (report["before"], *measured(report)):
        score = one["scores"][report["metric"]]
        half = (one["interval"][1] - one["interval"][0]) / 2 if one.get("interval") else 0.0
        name = say("compress.winner", lang) if one["name"] == "winner" else one["name"]
        points.append({
            "name": name if one["name"] in named else "", "full": name, "price": one[of], "score": score, "low": score - half, "high": score + half,
            "won": one["name"] == (report["chosen"] or "winner"), "proven": bool(report["certificate"]), "floor": False,
        })  # fmt: skip
    labels = ChartLabels(
        say(f"compress.chart_{key}", lang), say("compress.chart_text", lang), say(f"compress.axis_{key}", lang),
        metric_name(report["metric"], lang),
    )  # fmt: skip
    level = report["level"] if math.isfinite(report["level"]) else None
    picture = pareto_chart(
        _spread(points), labels, level, report["higher_is_better"], "{}" if key == "size" else "${}"
    )
    numbers = [[p["full"], significant(p["price"], 3), f"{p['score']:.4f}"] for p in points]
    shown = table([say("compress.head.name", lang), labels.x, labels.y], numbers, labels.title)
    return f"<h3>{text(labels.title)}</h3>" + figure(picture, labels.description, shown, lang)


def _spread(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the points with a least spread of scores, so that a chart of equal scores has an axis."""
    return [p | {"low": p["low"] - 1e-4, "high": p["high"] + 1e-4} for p in points]
