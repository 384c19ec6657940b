"""Render plan.html from plan.json, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.messages import join_sentences, localized, metric_name, money, percent, say
from rung.pages import plan_text
from rung.pages.charts import ChartLabels, bar_chart
from rung.pages.elements import box, bullets, cards, contents, figure, page, paragraph, section, table, text
from rung.pages.families import families


def render_plan(plan: Mapping[str, Any], lang: str = "en") -> str:
    """Return the page. Texts from the user's data are escaped."""
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
        f"{paragraph(plan_text.source_text(plan, lang))}{_cards(plan, lang)}</header>"
    )
    title = say("plan.page_title", lang, product=plan["name"])
    return page(lang, title, [head, contents(anchors, lang), *sections.values()])


def _cards(plan: Mapping[str, Any], lang: str) -> str:
    counted = {
        light: sum(found == light for found, _ in plan_text.readiness_lines(plan, lang))
        for light in ("go", "slow", "stop")
    }
    prices = [rung["usd_per_1k"] * 1000 for rung in plan["ladder"]]
    bar = plan["bar"]
    shown = " · ".join(f"{say(f'ready.{light}', lang)} {n}" for light, n in counted.items())
    return cards(
        [
            (
                say("yourbar.title", lang),
                f"{metric_name(bar['metric'], lang)}\u00a0≥\u00a0{bar['at_least']:g}",
                say("card.confidence", lang, confidence=percent(bar["confidence"])),
            ),
            (say("ready.title", lang), f"{counted['go']} / {sum(counted.values())}", shown),
            (
                say("card.price", lang),
                # One unit for both, so that a narrow card breaks between them alone.
                f"{money(min(prices), lang).removesuffix(' 美元')} – {money(max(prices), lang)}",
                say("card.million", lang),
            ),
        ]
    )


def _scene(plan: Mapping[str, Any], lang: str) -> str:
    kind, *why = plan_text.driver_lines(plan, lang)
    return section(
        "scene", say("scene.title", lang), bullets(plan_text.task_lines(plan, lang)),
        f"<h3>{text(kind)}</h3>{''.join(paragraph(line) for line in why)}",
    )  # fmt: skip


def _ready(plan: Mapping[str, Any], lang: str) -> str:
    # The status is written as text too, for readers who cannot tell the colours.
    lines = "".join(
        f'<li class="{light}"><b class="{_BOX_KIND[light]}">{text(say(f"ready.{light}", lang))}</b> {text(line)}</li>'
        for light, line in plan_text.readiness_lines(plan, lang)
    )
    most = sorted(plan["classes"].items(), key=lambda item: -item[1])
    chart = ChartLabels(say("data.classes", lang), say("data.classes_alt", lang, n=len(most)), "", "")
    head = [say("why.label", lang), say("page.rows", lang)]
    numbers = table(head, [[name, f"{n:,}"] for name, n in most[:200]], chart.title)
    picture = (
        figure(bar_chart(most[:20], chart), plan_text.source_text(plan, lang), numbers, lang) if most else ""
    )
    return section(
        "ready", say("ready.title", lang), paragraph(say("ready.lead", lang)),
        f'<div class="figures"><ul class="lights">{lines}</ul>{picture}</div>',
    )  # fmt: skip


_BOX_KIND = {"go": "good", "slow": "warn", "stop": "bad"}


def _ladder(plan: Mapping[str, Any], lang: str) -> str:
    lead = say("ladder.lead", lang)
    notes = "".join(paragraph(note, "note") for note in plan_text.ladder_notes(plan, lang))
    times = join_sentences(lang, *plan_text.time_lines(plan, lang))
    sources = say("costs.sources", lang, machine=plan["prices"]["machine"], energy=plan["prices"]["energy"])
    return section(
        "ladder", say("ladder.title", lang),
        paragraph(times) if times else "", table(plan_text.ladder_head(plan, lang), plan_text.ladder_rows(plan, lang), lead), families([(rung["rung"], rung["model"]) for rung in plan["ladder"]], lang), notes, paragraph(sources, "note"),
    )  # fmt: skip


def _bar(plan: Mapping[str, Any], lang: str) -> str:
    first, *why = plan_text.bar_lines(plan, lang)
    head = [say("yourbar.quality", lang), say("yourbar.rows", lang)]
    caption = say("yourbar.needed", lang, level=f"{plan['bar']['at_least']:g}")
    label = localized(lang, plan["prices"].get("label", ""))
    return section(
        "yourbar", say("yourbar.title", lang), box(paragraph(first, "lead"), "plain"), bullets(why),
        table(head, plan_text.rows_needed(plan, lang), caption), paragraph(plan_text.certification_rows(plan, lang)), paragraph(label, "note"),
    )  # fmt: skip


def _duties(plan: Mapping[str, Any], lang: str) -> str:
    first, *notes = plan_text.regulation_notes(plan, lang)
    found = "".join(
        f"<h3>{text(kind)}</h3>{bullets(lines)}" for kind, lines in plan_text.regulation_lines(plan, lang)
    )
    return section(
        "duties",
        say("duties.title", lang),
        box(paragraph(first), "warn"),
        found,
        "".join(paragraph(n) for n in notes),
    )
