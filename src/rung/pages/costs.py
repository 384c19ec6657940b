"""The report's section on costs: serving per month, large language models, and the break-even."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from rung.core.messages import count, day, money, percent, say, significant
from rung.pages.elements import paragraph, section, text

REQUESTS_PER_DAY = (100, 1_000, 10_000, 100_000, 1_000_000)
_DEFAULT_REQUESTS = 10_000


def costs_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the section: a table that works without JavaScript, and a field that adds a row with it."""
    facts = report.get("costs")
    if not facts:
        return ""
    return section(
        "costs",
        say("costs.title", lang),
        paragraph(say("costs.host", lang, month=money(facts["usd_per_core_month"], lang), busy=percent(facts["busy_share"]))),
        _llm_text(facts, lang),
        _break_even_text(facts, lang),
        _requests_field(lang),
        _table(report, facts, lang),
        paragraph(say("costs.energy", lang, wh=significant(facts["wh_per_1k"]), day=significant(facts["wh_per_1k"] * 10), n=10_000)),
        paragraph(say("costs.sources", lang, machine=report["prices"]["machine"], energy=report["prices"]["energy"]), "note"),
    )  # fmt: skip


def _llm_text(facts: Mapping[str, Any], lang: str) -> str:
    llm = facts["llm"]
    if not llm:
        return paragraph(say("costs.no_llm" if facts["sample_rows"] else "costs.media", lang))
    words = say(
        "costs.llm", lang, input=round(facts["input_tokens"]), prompt=llm["prompt_tokens"],
        answer=llm["answer_tokens"], rows=facts["sample_rows"],
    )  # fmt: skip
    dated = say("costs.dated", lang, date=day(llm["date"], lang), source=llm["source"])
    return paragraph(words) + paragraph(dated, "note")


def _extra(facts: Mapping[str, Any]) -> float:
    """Return the price of GPUs and services for 1,000 answers; 0 in reports of version 0.1."""
    return float(facts.get("extra_usd_per_1k", 0.0))


def _cpu_seconds(facts: Mapping[str, Any]) -> float:
    """Return the CPU seconds of 1,000 answers, from their price."""
    per_second = facts["usd_per_core_month"] / (30 * 86_400)
    return float(max(facts["usd_per_1k"] - _extra(facts), 0.0) / per_second) if per_second else 0.0


def _monthly_cost(facts: Mapping[str, Any], requests: int) -> float:
    cores = math.ceil(requests / 1000 * _cpu_seconds(facts) / 86_400 / facts["busy_share"])
    return float(max(cores, 1) * facts["usd_per_core_month"] + requests * 30 / 1000 * _extra(facts))


def break_even_requests(facts: Mapping[str, Any], usd_per_1k: float) -> int | None:
    """Return the fewest requests a day at which serving costs less than `usd_per_1k`; None if it never does."""
    core, saved = facts["usd_per_core_month"], usd_per_1k - _extra(facts)
    requests = math.ceil(core / 30 / saved * 1000) if saved > 0 else 0
    if not requests or _monthly_cost(facts, requests) > requests * 30 / 1000 * usd_per_1k + 1e-9:
        return None
    return requests


def _break_even_text(facts: Mapping[str, Any], lang: str) -> str:
    found = [
        (m["name"], break_even_requests(facts, m["usd_per_1k"]))
        for m in (facts["llm"] or {"models": []})["models"]
    ]
    found.sort(key=lambda item: item[1] or 0)
    if not found or any(n is None for _, n in found):
        return paragraph(say("costs.never", lang)) if found else ""
    (first, few), (last, many) = found[0], found[-1]
    return paragraph(say("costs.even", lang, few=few, dear=first, many=many, cheap=last), "lead")


def _requests_field(lang: str) -> str:
    return (
        f'<div class="field" id="chooser" hidden><label for="requests">{text(say("costs.yours", lang))}</label>'
        f'<input id="requests" type="number" min="0" step="100" value="{_DEFAULT_REQUESTS}" inputmode="numeric"></div>'
    )


def _table(report: Mapping[str, Any], facts: Mapping[str, Any], lang: str) -> str:
    models = (facts["llm"] or {"models": []})["models"]
    heads = "".join(
        f'<th scope="col" data-usd="{m["usd_per_1k"]:.9f}">{text(m["name"])}</th>' for m in models
    )
    host = (
        f'<th scope="col" data-host data-cpu="{_cpu_seconds(facts):.9f}" data-month="{facts["usd_per_core_month"]}" '
        f'data-busy="{facts["busy_share"]}" data-extra="{_extra(facts):.9f}">{text(report["winner"])}</th>'
    )
    rows = "".join(
        f'<tr><th scope="row">{count(n, lang)}</th><td>{money(_monthly_cost(facts, n), lang)}</td>'
        + "".join(f"<td>{money(n * 30 / 1000 * m['usd_per_1k'], lang)}</td>" for m in models) + "</tr>"
        for n in REQUESTS_PER_DAY
    )  # fmt: skip
    yours = (
        '<tr id="yours" class="winner" hidden><th scope="row"></th>'
        + "<td></td>" * (len(models) + 1)
        + "</tr>"
    )
    caption = say("costs.caption", lang)
    return (
        f'<p class="note">{text(caption)}</p><p class="hint" aria-hidden="true"></p>'
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="costs">'
        f'<thead><tr><th scope="col">{text(say("costs.requests", lang))}</th>{host}{heads}</tr></thead>'
        f'<tbody aria-live="polite">{yours}{rows}</tbody></table></div>'
    )
