"""The report's section on written texts: conditions, what each step after decoding did, copies, and some texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.messages import join_sentences, percent, say
from rung.pages.elements import paragraph, section, table, text
from rung.pages.quality import evaluation_source


def writing_section(report: Mapping[str, Any], lang: str) -> str:
    """Return the section; "" for a product that writes nothing."""
    found = report["details"].get("writing")
    if not found:
        return ""
    source, documents = evaluation_source(report, lang), max(found["documents"], 1)
    conditions = [
        [
            say(f"writing.{item['name']}", lang),
            str(item["broken"]),
            percent(1 - item["broken"] / documents, 1),
        ]
        for item in found["conditions"]
    ]
    head = [say(f"writing.{name}", lang) for name in ("condition", "broken", "kept")]
    samples = "".join(_sample(item, lang) for item in report["details"].get("samples", ()))
    return section(
        "writing",
        say("writing.title", lang),
        table(head, conditions, say("writing.conditions", lang)) if conditions else "",
        _steps(found, lang),
        paragraph(join_sentences(lang, *_facts(found, lang), source), "note"),
        f'<h3>{text(say("writing.samples", lang))}</h3><ol class="cases">{samples}</ol>' if samples else "",
    )


def _steps(found: Mapping[str, Any], lang: str) -> str:
    """Return what each step changed, and what that did."""
    rows = [
        [
            say(f"writing.step_{item['step']}", lang), str(item["changed"]),
            f"{percent(item['met_before'], 1)} → {percent(item['met_after'], 1)}",
            f"{item['chrf_before']:.4f} → {item['chrf_after']:.4f}",
        ]
        for item in found["steps"]
    ]  # fmt: skip
    head = [say(f"writing.{name}", lang) for name in ("step", "changed", "met", "chrf")]
    return table(head, rows, say("writing.steps", lang), kind="left") if rows else ""


def _facts(found: Mapping[str, Any], lang: str) -> list[str]:
    lengths = say(
        "writing.lengths", lang, ours=f"{found['mean_chars']:.0f}", truth=f"{found['mean_chars_truth']:.0f}"
    )
    copied = say(
        "writing.copied", lang, n=found["copied"], longest=found["longest_copy"], of=found["documents"]
    )
    personal = say("writing.personal", lang, n=found["personal"])
    return [lengths, copied, personal]


def _sample(item: Mapping[str, Any], lang: str) -> str:
    rows = [
        [say("writing.prompt", lang), str(item.get("input", ""))],
        [say("writing.truth", lang), item["truth"]],
        [say("writing.written", lang), item["answer"]],
    ]
    head = say("writing.case", lang, row=str(item["row"]), chrf=f"{item['chrf']:.3f}")
    body = "".join(f"<dt>{text(name)}</dt><dd>{text(words)}</dd>" for name, words in rows)
    return f'<li><p><b>{text(head)}</b></p><dl class="families">{body}</dl></li>'
