"""plan.html from plan.json: what a person should know before anything is spent, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.messages import localized, money, percent, say
from rung.pages import plan_words as words
from rung.pages.charts import ChartLabels, bar_chart
from rung.pages.elements import box, bullets, cards, contents, figure, page, paragraph, section, table, text


def render_plan(plan: Mapping[str, Any], lang: str = "en") -> str:
    """Return the page; what a user's data contributes is escaped."""
    sections = {
        "scene": _scene(plan, lang),
        "ready": _ready(plan, lang),
        "ladder": _ladder(plan, lang),
        "yourbar": _bar(plan, lang),
        "duties": _duties(plan, lang),
    }
    anchors = [(name, say(f"{name}.title", lang)) for name in sections]
    head = (
        f"<header><h1>{text(plan['name'])}</h1>{paragraph(say('plan.lead', lang), 'lead')}"
        f"{paragraph(words.source_text(plan, lang))}{_cards(plan, lang)}</header>"
    )
    title = say("plan.page_title", lang, product=plan["name"])
    return page(lang, title, [head, contents(anchors, lang), *sections.values()])


def _cards(plan: Mapping[str, Any], lang: str) -> str:
    counted = {
        light: sum(found == light for found, _ in words.readiness_lines(plan, lang))
        for light in ("go", "slow", "stop")
    }
    prices = [rung["usd_per_1k"] * 1000 for rung in plan["ladder"]]
    bar = plan["bar"]
    shown = " · ".join(f"{say(f'ready.{light}', lang)} {n}" for light, n in counted.items())
    return cards(
        [
            (
                say("yourbar.title", lang),
                f"{bar['metric']} ≥ {bar['at_least']:g}",
                percent(bar["confidence"]),
            ),
            (say("ready.title", lang), f"{counted['go']} / {sum(counted.values())}", shown),
            (
                say("card.price", lang),
                f"{money(min(prices), lang)} – {money(max(prices), lang)}",
                say("card.million", lang),
            ),
        ]
    )


def _scene(plan: Mapping[str, Any], lang: str) -> str:
    kind, *why = words.driver_lines(plan, lang)
    return section(
        "scene", say("scene.title", lang), bullets(words.task_lines(plan, lang)),
        f"<h3>{text(kind)}</h3>{''.join(paragraph(line) for line in why)}",
    )  # fmt: skip


def _ready(plan: Mapping[str, Any], lang: str) -> str:
    # The name of the light stands in the text too: a colour or a sign alone is not for everybody.
    lines = "".join(
        f'<li class="{light}"><b class="{_BOX_KIND[light]}">{text(say(f"ready.{light}", lang))}</b> {text(line)}</li>'
        for light, line in words.readiness_lines(plan, lang)
    )
    most = sorted(plan["classes"].items(), key=lambda item: -item[1])
    chart = ChartLabels(say("data.classes", lang), say("data.classes_alt", lang, n=len(most)), "", "")
    head = [say("why.label", lang), say("page.rows", lang)]
    numbers = table(head, [[name, f"{n:,}"] for name, n in most[:200]], chart.title)
    picture = (
        figure(bar_chart(most[:20], chart), words.source_text(plan, lang), numbers, lang) if most else ""
    )
    return section(
        "ready", say("ready.title", lang), paragraph(say("ready.lead", lang)),
        f'<div class="figures"><ul class="lights">{lines}</ul>{picture}</div>',
    )  # fmt: skip


_BOX_KIND = {"go": "good", "slow": "warn", "stop": "bad"}


def _ladder(plan: Mapping[str, Any], lang: str) -> str:
    lead = say("ladder.lead", lang)
    notes = "".join(paragraph(note, "note") for note in words.ladder_notes(plan, lang))
    sources = say("costs.sources", lang, machine=plan["prices"]["machine"], energy=plan["prices"]["energy"])
    return section(
        "ladder", say("ladder.title", lang),
        table(words.ladder_head(plan, lang), words.ladder_rows(plan, lang), lead), notes, paragraph(sources, "note"),
    )  # fmt: skip


def _bar(plan: Mapping[str, Any], lang: str) -> str:
    first, *why = words.bar_lines(plan, lang)
    head = [say("yourbar.quality", lang), say("yourbar.rows", lang)]
    caption = say("yourbar.needed", lang, level=f"{plan['bar']['at_least']:g}")
    label = localized(lang, plan["prices"].get("label", ""))
    return section(
        "yourbar", say("yourbar.title", lang), box(paragraph(first, "lead"), "good"), bullets(why),
        table(head, words.rows_needed(plan, lang), caption), paragraph(words.certification_rows(plan, lang)), paragraph(label, "note"),
    )  # fmt: skip


def _duties(plan: Mapping[str, Any], lang: str) -> str:
    first, *notes = words.regulation_notes(plan, lang)
    found = "".join(
        f"<h3>{text(kind)}</h3>{bullets(lines)}" for kind, lines in words.regulation_lines(plan, lang)
    )
    return section(
        "duties",
        say("duties.title", lang),
        box(paragraph(first), "warn"),
        found,
        "".join(paragraph(n) for n in notes),
    )
