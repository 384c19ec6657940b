"""HTML elements of all pages. Every text is escaped here."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from rung.core.messages import say

# Characters of a table that fit beside each other on a phone.
_PHONE_CHARS = 40


class Html(str):
    """Finished HTML, which `text` does not escape."""

    __slots__ = ()


def text(words: object) -> str:
    """Return a text as HTML: escaped, with `code` in code elements."""
    if isinstance(words, Html):
        return words
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(str(words)))


def paragraph(words: str, kind: str = "") -> str:
    """Return a paragraph; "" for an empty text."""
    return f"<p{_class(kind)}>{text(words)}</p>" if words else ""


def bullets(lines: Sequence[str]) -> str:
    """Return an unordered list; "" for no lines."""
    return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>" if lines else ""


def box(inner: str, kind: str) -> str:
    """Return HTML in a coloured box. kind: good, bad, warn or plain."""
    return f'<div class="box {kind}">{inner}</div>'


def section(name: str, title: str, *parts: str) -> str:
    """Return a section with heading and anchor; "" when all parts are empty."""
    inner = "\n".join(filter(None, parts))
    return f'<section id="{name}"><h2>{text(title)}</h2>\n{inner}</section>' if inner else ""


def cards(items: Iterable[tuple[str, str, str]]) -> str:
    """Return a row of cards. items: (name, value, remark)."""
    shown = "".join(
        f"<div><dt>{text(name)}</dt><dd>{text(value)}<small>{text(remark)}</small></dd></div>"
        for name, value, remark in items
    )
    return f'<dl class="cards">{shown}</dl>'


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str,
    *,
    kind: str = "",
    winner: str | None = None,
) -> str:
    """Return a table whose first column is the header of the row.

    It scrolls horizontally on narrow screens, with the first column fixed and, if it is wide, a hint above it.
    """
    rows = [list(row) for row in rows]
    # Its text is in the style sheet, see `page`.
    hint = '<p class="hint" aria-hidden="true"></p>' if _is_wide(head, rows) else ""
    top = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    body = "".join(
        f"<tr{_class('winner' if winner is not None and row[0] == winner else '')}>"
        f'<th scope="row">{text(row[0])}</th>' + "".join(_cell(cell) for cell in row[1:]) + "</tr>"
        for row in rows
    )
    return (
        f'<p class="note">{text(caption)}</p>{hint}<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table{_class(kind)}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _is_wide(head: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a table is wider than a phone, by its longest cells. A long cell wraps."""
    longest = [0] * len(head)
    for row in rows:
        longest = [max(most, min(len(cell), 24)) for most, cell in zip(longest, row, strict=False)]
    return sum(longest) + 2 * len(head) > _PHONE_CHARS


def _cell(words: str) -> str:
    return f"<td{_class('words' if len(words) > 32 else '')}>{text(words)}</td>"


def pictures(uris: Iterable[str], words: str) -> str:
    """Return thumbnails of the data URIs of images; other addresses are ignored. words: the alternative text."""
    alt = escape(words)
    return "".join(
        f'<img class="thumb" src="{escape(uri)}" alt="{alt}" title="{alt}" loading="lazy">'
        for uri in uris
        if uri.startswith("data:image/")
    )


def heat_map(uris: Iterable[str], reasons: Iterable[Mapping[str, Any]], words: str) -> str:
    """Return the first thumbnail with the regions of reasons over it; "" without a thumbnail or a region.

    What supports the answer is green, what contradicts it red; the stronger, the less transparent.
    """
    placed = [reason for reason in reasons if reason.get("region")]
    picture = pictures(list(uris)[:1], words)
    if not placed or not picture:
        return ""
    strongest = max(abs(float(reason["weight"])) for reason in placed) or 1.0
    marks = []
    for reason in placed:
        x, y, width, height = (100 * float(share) for share in reason["region"])
        kind = "for" if reason["weight"] > 0 else "against"
        opacity = 0.2 + 0.45 * abs(float(reason["weight"])) / strongest
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" opacity="{opacity:.2f}"'
        marks.append(f'<rect class="{kind}" {place}><title>{float(reason["weight"]):+.2f}</title></rect>')
    over = f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{"".join(marks)}</svg>'
    return f'<span class="heat">{picture}{over}</span>'


def figure(picture: str, source: str, numbers: str, lang: str) -> str:
    """Return a chart with a caption, and its values as a collapsible table."""
    return f"<figure>{picture}<figcaption>{text(source)}</figcaption>{collapsible(say('page.numbers', lang), numbers)}</figure>"


def collapsible(summary: str, inner: str) -> str:
    """Return HTML that opens on a click or a key."""
    return f"<details><summary>{text(summary)}</summary>{inner}</details>"


@cache
def asset(name: str) -> str:
    """Return the content of a file of this package."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def page(lang: str, title: str, sections: Sequence[str], script: str = "") -> str:
    """Return a complete document.

    Its content security policy allows only its own style and script, by their hash.
    """
    style = asset("page.css") + f'.hint::before {{ content: "{say("page.scroll", lang)}" }}\n'
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(style)}'"
    if script:
        policy += f"; script-src '{_hash(script)}'"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}; base-uri 'none'; form-action 'none'\">"
        f'<meta name="referrer" content="no-referrer"><title>{escape(title)}</title><style>{style}</style>'
    )
    body = "\n".join(filter(None, sections))
    end = f"<script>{script}</script>" if script else ""
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if lang == "zh" else "en"}"><head>{head}</head>\n<body>'
        f'<a class="skip" href="#content">{text(say("page.skip", lang))}</a><main id="content">\n{body}\n</main>{end}</body></html>\n'
    )


def contents(names: Iterable[tuple[str, str]], lang: str) -> str:
    """Return the table of contents. names: (anchor, title)."""
    links = "".join(f'<li><a href="#{name}">{text(title)}</a></li>' for name, title in names)
    return f'<nav aria-label="{escape(say("page.contents", lang))}"><ul>{links}</ul></nav>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _hash(inline: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
