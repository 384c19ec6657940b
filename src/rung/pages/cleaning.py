"""Tables of the cleaning steps in the report, with examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.messages import count, join_list, say, say_or
from rung.pages.elements import paragraph, table, text


def cleaning_tables(report: Mapping[str, Any], lang: str) -> str:
    """Return the tables of cleaning steps and of examples; "" for a report without them."""
    steps = report["data"].get("clean", [])
    if not steps:
        return ""
    head = [say(f"mended.{name}", lang) for name in ("step", "rows", "left", "changed")]
    rows = [
        [_step_name(step, lang), *(count(step[key], lang) for key in ("rows", "left", "changed"))]
        for step in steps
    ]
    shown = table(head, rows, say("mended.caption", lang))
    examples = [
        [_step_name(step, lang), f"{example['file']} {example['row']}", example["before"], example["after"]]
        for step in steps
        for example in step["examples"]
    ]
    seen = ""
    if examples:
        titles = [say(f"mended.{name}", lang) for name in ("step", "place", "before", "after")]
        seen = table(titles, examples, say("mended.examples", lang), kind="left")
    return f"<div><h3>{text(say('mended.title', lang))}</h3>{shown}{seen}{paragraph(say('mended.same', lang), 'note')}</div>"


def _step_name(step: Mapping[str, Any], lang: str) -> str:
    name = say_or(f"mending.{step['step']}", lang, step["step"])
    kinds = [
        f"{say_or(f'personal.{kind}', lang, kind)} {count(found, lang)}"
        for kind, found in step.get("kinds", {}).items()
    ]
    return (
        f"{name}: {join_list(kinds, lang)}"
        if kinds and lang == "en"
        else f"{name}：{join_list(kinds, lang)}"
        if kinds
        else name
    )
