"""The report's section on boxes: what was found of each label, and images with what was missed and what is false."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from rung.core.messages import join_sentences, percent, say
from rung.pages.elements import paragraph, section, table, text
from rung.pages.quality import evaluation_source

_PARTS = ("found", "missed", "wrong")


def boxes_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the section; "" for a product that answers no boxes."""
    details, source = report["details"], evaluation_source(report, lang)
    rows = [
        [item["label"], *(str(item[part]) for part in _PARTS), percent(item["found"] / max(item["found"] + item["missed"], 1), 1)]
        for item in details.get("boxes_by_label", ())
    ]  # fmt: skip
    if not rows:
        return ""
    head = [say(f"boxes.{name}", lang) for name in ("label", *_PARTS, "recall")]
    cases = "".join(_case(picture, lang) for picture in details.get("pictures", ()))
    shown = (
        f"<h3>{text(say('boxes.pictures', lang))}</h3>"
        + paragraph(join_sentences(lang, say("boxes.read", lang), source), "note")
        + f'<ol class="cases boxed">{cases}</ol>'
        if cases
        else paragraph(source, "note")
    )
    return section("boxes", say("boxes.title", lang), table(head, rows, say("boxes.by_label", lang)), shown)


def _case(picture: Mapping[str, Any], lang: str) -> str:
    counts = {part: len(picture[part]) for part in _PARTS}
    head = say("boxes.case", lang, row=str(picture["row"]), **counts)
    name = str(picture.get("input", ""))
    drawn = _drawn(picture, say("boxes.alt", lang, **counts))
    return f"<li><p><b>{text(head)}</b></p>{drawn}<p>{text(name)}</p></li>"


def _drawn(picture: Mapping[str, Any], alt: str) -> str:
    """Return the image as SVG with its boxes; "" where it is not there to be shown."""
    width, height = picture.get("size") or (0, 0)
    if not (width and height and picture.get("picture")):
        return ""
    boxes = "".join(_rectangle(box, part) for part in _PARTS for box in picture[part])
    return (
        f'<svg class="boxes" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}">'
        f'<image href="{escape(picture["picture"])}" width="{width:g}" height="{height:g}"/>{boxes}</svg>'
    )


def _rectangle(box: Mapping[str, Any], part: str) -> str:
    x, y, width, height = box["box"]
    said = f"{box['label']} {box['score']:.2f}" if "score" in box else box["label"]
    return (
        f'<rect class="{part}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'vector-effect="non-scaling-stroke"><title>{escape(said)}</title></rect>'
    )
