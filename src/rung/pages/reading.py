"""The report's section on read documents: fields that were right, and the documents with most mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from rung.core.messages import join_sentences, percent, say
from rung.pages.elements import paragraph, section, table, text
from rung.pages.quality import evaluation_source

# Characters of a text that are shown.
_CHARS = 600


def reading_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the section; "" for a product that reads no documents."""
    details, source = report["details"], evaluation_source(report, lang)
    if "documents" not in details:
        return ""
    rows = [
        [item["field"], str(item["documents"]), str(item["right"]), str(item["missed"]), percent(item["right"] / max(item["documents"], 1), 1)]
        for item in details.get("reading_by_field", ())
    ]  # fmt: skip
    head = [say(f"reading.{name}", lang) for name in ("field", "documents", "right", "missed", "share")]
    by_field = table(head, rows, say("reading.by_field", lang)) if rows else ""
    cases = "".join(_case(picture, lang) for picture in details.get("pictures", ()))
    shown = (
        f"<h3>{text(say('reading.worst', lang))}</h3>"
        + paragraph(join_sentences(lang, say("reading.read", lang), source), "note")
        + f'<ol class="cases boxed">{cases}</ol>'
        if cases
        else paragraph(
            join_sentences(lang, say("reading.none", lang, n=details["documents"]), source), "note"
        )
    )
    return section("reading", say("reading.title", lang), by_field, shown)


def _case(picture: Mapping[str, Any], lang: str) -> str:
    head = say(
        "reading.case", lang, row=str(picture["row"]), rate=percent(picture["error_rate"], 1),
        name=str(picture.get("input", "")),
    )  # fmt: skip
    rows = _compared(picture["truth"], picture["answer"])
    names = ("", say("reading.truth", lang), say("reading.answer", lang))
    compared = table(
        names if isinstance(picture["truth"], Mapping) else names[1:],
        rows,
        say("reading.compared", lang),
        kind="left",
    )
    return f"<li><p><b>{text(head)}</b></p>{_drawn(picture)}{compared}</li>"


def _compared(truth: Any, answer: Any) -> list[list[str]]:
    if isinstance(truth, Mapping):
        said = answer if isinstance(answer, Mapping) else {}
        return [[name, truth.get(name, ""), said.get(name, "")] for name in sorted({*truth, *said})]
    return [[_short(str(truth)), _short(str(answer))]]


def _short(words: str) -> str:
    return words if len(words) <= _CHARS else words[: _CHARS - 1] + "…"


def _drawn(picture: Mapping[str, Any]) -> str:
    """Return the image as SVG with a rectangle around each line that was read; "" where it is not there to be shown."""
    width, height = picture.get("size") or (0, 0)
    if not (width and height and picture.get("picture")):
        return ""
    lines = "".join(_rectangle(line) for line in picture["lines"])
    return (
        f'<svg class="boxes" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(str(picture.get("input", "")))}">'
        f'<image href="{escape(picture["picture"])}" width="{width:g}" height="{height:g}"/>{lines}</svg>'
    )


def _rectangle(line: Mapping[str, Any]) -> str:
    x, y, width, height = line["box"]
    said = f"{line['text']} {line['score']:.2f}" if "score" in line else line["text"]
    return (
        f'<rect class="found" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'vector-effect="non-scaling-stroke"><title>{escape(said)}</title></rect>'
    )
