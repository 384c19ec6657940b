"""Render value.html from the report of `rung value`: monthly cost and value, against language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rung.core.messages import count, day, duration, join_sentences, money, percent, say
from rung.pages.charts import ChartLabels, cost_chart
from rung.pages.elements import box, page, paragraph, section, table, text

MonthlyCost = Callable[[Mapping[str, Any], float], float]


def render(report: Mapping[str, Any], monthly_cost: MonthlyCost, lang: str = "en") -> str:
    """Return the page. monthly_cost: returns the cost of a month with a number of requests, from the report."""
    title = say("value.page_title", lang, product=report["model"])
    kind = "warn"
    if report["value"] and "net_per_month" in report["value"]:
        kind = "good" if report["value"]["net_per_month"][0] >= 0 else "bad"
    first, *more = summary(report, lang)
    top = [
        f"<h1>{text(title)}</h1>",
        paragraph(first, "lead"),
        box("".join(map(paragraph, more)), kind) if more else "",
    ]
    return page(lang, title, ["\n".join(top), _models(report, monthly_cost, lang), _sources(report, lang)])


def summary(report: Mapping[str, Any], lang: str) -> list[str]:
    """Return the figures as sentences."""
    if not report["rows"]:
        return [say("value.nothing", lang)]
    month = report["per_month"]
    if month is None:
        found = [say("value.served_short", lang, rows=report["rows"])]
    else:
        time = duration(report["days"] * 86_400, lang)
        found = [say("value.served", lang, rows=report["rows"], time=time, month=count(round(month), lang))]
        found += [say("value.short", lang)] if report["days"] < 1 else []
        found.append(_cost_text(report, lang))
    found.append(_accuracy_text(report, lang))
    value = report["value"]
    if value is None:
        return [*found, say("value.no_value", lang)] if report["right"] else found
    return [*found, *_value_lines(value, lang)]


def llm_lines(report: Mapping[str, Any], lang: str) -> list[str]:
    """Return the cost of large language models as sentences."""
    llm = report["llm"]
    if llm is None:
        return [say("value.no_llm", lang)] if report["rows"] else []
    found = [_llm_text(llm, lang)]
    for model in llm["models"]:
        even, usd = model["cheaper_from"], model["usd_per_month"]
        line = say("value.llm_never" if even is None else "value.llm_line", lang, even=even)
        month = "" if usd is None else say("value.llm_month", lang, month=money(usd, lang))
        found.append(say("value.llm_name", lang, name=model["name"], month=month, line=line))
    return found


def _cost_text(report: Mapping[str, Any], lang: str) -> str:
    core, fixed = report["usd_per_core_month"], report["fixed_per_month"]
    cores = round((report["usd_per_month"] - fixed) / core) if core else 1
    return say(
        "value.cost", lang, each=money(report["usd_per_request"], lang), month=money(report["usd_per_month"], lang),
        cores=say("value.cores", lang, n=cores), busy=percent(report["busy_share"]),
        fixed=say("value.fixed", lang, usd=money(fixed, lang)) if fixed else "",
    )  # fmt: skip


def _accuracy_text(report: Mapping[str, Any], lang: str) -> str:
    right = report["right"]
    if right is None:
        return say("value.no_right", lang)
    low, high = (percent(right[end], 1) for end in ("low", "high"))
    return say(
        f"value.right.{right['source']}", lang, low=low, high=high, rows=right["rows"], confidence=percent(right["confidence"])
    )  # fmt: skip


def _value_lines(value: Mapping[str, Any], lang: str) -> list[str]:
    correct, error = money(value["per_correct"], lang), money(value["per_error"], lang)
    if "usd_per_month" not in value:
        low, high = (money(end, lang) for end in value["usd_per_request"])
        found = [say("value.worth_each", lang, low=low, high=high, correct=correct, error=error)]
    else:
        (low, high), (net_low, net_high) = (
            [money(end, lang) for end in value[key]] for key in ("usd_per_month", "net_per_month")
        )
        found = [
            say("value.worth", lang, low=low, high=high, correct=correct, error=error, net_low=net_low, net_high=net_high)
        ]  # fmt: skip
    avoided = value.get("errors_avoided_per_month")
    if avoided:
        few, many = (count(round(end), lang) for end in avoided)
        found.append(say("value.avoided", lang, low=few, high=many))
    even = value["pays_from"]
    found.append(say("value.never", lang) if even is None else say("value.pays", lang, n=even))
    return found


def _llm_text(llm: Mapping[str, Any], lang: str) -> str:
    return say(
        "value.llm", lang, input=round(llm["input_tokens"]), readable=llm["readable"], prompt=llm["prompt_tokens"],
        answer=llm["answer_tokens"],
    )  # fmt: skip


def _models(report: Mapping[str, Any], monthly_cost: MonthlyCost, lang: str) -> str:
    llm, month = report["llm"], report["per_month"]
    if llm is None:
        return section("llm", say("value.llm_title", lang), *map(paragraph, llm_lines(report, lang)))
    head = [say(f"value.{key}", lang) for key in ("model", "each", "month", "even")]
    own = [
        say("value.own", lang), money(report["usd_per_request"] * 1_000, lang),
        "–" if month is None else money(report["usd_per_month"], lang), "",
    ]  # fmt: skip
    rows = [own]
    for model in llm["models"]:
        even = model["cheaper_from"]
        rows.append([
            model["name"], money(model["usd_per_request"] * 1_000, lang),
            "–" if month is None else money(model["usd_per_month"], lang),
            say("value.never_short", lang) if even is None else count(even, lang),
        ])  # fmt: skip
    numbers = table(head, rows, say("value.caption", lang), winner=own[0])
    volumes = [10.0**power for power in range(2, 8)]
    fine = [10 ** (power / 10) for power in range(20, 71)]
    series = [(say("value.own", lang), [(at, monthly_cost(report, at)) for at in fine])]
    by_price = sorted(llm["models"], key=lambda m: m["usd_per_request"])
    # All names would overlap, so only the cheapest and the most expensive model are named.
    named = {m["name"] for m in (by_price[:1] + by_price[-1:])}
    series += [
        (m["name"] if m["name"] in named else "", [(at, at * m["usd_per_request"]) for at in volumes])
        for m in by_price
    ]
    chart = ChartLabels(
        say("value.plot", lang),
        say("value.plot_words", lang),
        say("value.plot_x", lang),
        say("value.plot_y", lang),
    )
    dated = say("value.dated", lang, date=day(llm["date"], lang), source=llm["source"])
    return section(
        "llm",
        say("value.llm_title", lang),
        paragraph(_llm_text(llm, lang)),
        numbers,
        f"<figure>{cost_chart(series, chart, month)}<figcaption>{text(chart.description)}</figcaption></figure>",
        paragraph(dated, "note"),
    )


def _sources(report: Mapping[str, Any], lang: str) -> str:
    machine = report["prices"].get("machine", "")
    return (
        paragraph(join_sentences(lang, say("value.sources", lang, machine=machine)), "note")
        if machine
        else ""
    )
