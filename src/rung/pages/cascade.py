"""The chart of quality against price with a cascade of two of the rungs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.core.messages import metric_name, percent, say, significant
from rung.pages.charts import ChartLabels, pareto_chart
from rung.pages.elements import figure, table, text


def cascade_chart(report: Mapping[str, Any], points: Sequence[Mapping[str, Any]], lang: str) -> str:
    """Return the models alone and the proposed cascade in one picture; "" where none is proposed.

    points: of the models, as `pareto_chart` takes them.
    """
    found = report.get("cascade")
    if not found:
        return ""
    condition = report["bar"][0]
    cheap, dear = found["rungs"]
    with_it = [*points, *_points(found, lang)]
    chart = ChartLabels(
        say("cascade.title", lang),
        say("cascade.alt", lang, n=len(with_it), cheap=cheap, dear=dear),
        say("pareto.price", lang),
        metric_name(report["metric"], lang),
    )
    handed = percent(found["handed_on"])
    share = percent(found["usd_per_1k"] / found["dear"]["usd_per_1k"])
    read = say("cascade.read", lang, cheap=cheap, dear=dear, handed=handed, share=share)
    rows = [[p["name"], significant(p["price"]), f"{p['score']:.4f}"] for p in with_it]
    numbers = table([say("board.rung", lang), chart.x, chart.y], rows, chart.title)
    level = condition.get("at_least", condition.get("at_most"))
    picture = figure(pareto_chart(with_it, chart, level, "at_least" in condition), read, numbers, lang)
    return f"<h3>{text(chart.title)}</h3>{picture}"


def _points(found: Mapping[str, Any], lang: str) -> list[dict[str, Any]]:
    """Return the curve's points; those that hand on equally many rows once."""
    by_share = {point["handed_on"]: point for point in found["curve"] if 0 < point["handed_on"] < 1}
    return [
        {
            "name": say("cascade.point", lang, handed=percent(point["handed_on"])), "price": point["usd_per_1k"] * 1000,
            "score": point["score"], "low": point["score"], "high": point["score"], "won": False, "floor": False,
        }
        for point in by_share.values()
    ]  # fmt: skip
