"""Remove HTML from text: tags, comments, scripts and entities. Text that only looks like a tag is kept."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

# A fixed list, so that `a < b`, `<PHONE_1>`, `List<String>` and <zhang@qq.com> are not removed.
_BLOCK_NAMES = (
    "address article aside blockquote body br center dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "head header hr html li main nav ol option p pre section select table tbody td tfoot th thead tr ul"
)
_INLINE_NAMES = (
    "a abbr acronym b bdi bdo big button caption cite code col colgroup del dfn em embed fieldset font frame frameset "
    "i iframe img input ins kbd label legend link mark meta nobr noscript object param picture q s samp small source "
    "span strike strong sub sup svg textarea time title tt u var video wbr o:p"
)
_BLOCKS, _INLINE = frozenset(_BLOCK_NAMES.split()), frozenset(_INLINE_NAMES.split())
_INVISIBLE_ELEMENTS = ("script", "style")
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:]{0,14})(?=[\s/>])([^<>]{0,2000})>")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# Nested ampersands (&amp;amp;amp; and numeric forms) are decoded at once: one level a pass would take
# unbounded time.
_AMPERSANDS = re.compile(r"&(?:amp;|AMP;|#0{0,4}38;|#[xX]0{0,4}26;)+")
_PASSES = 8


@dataclass(frozen=True)
class Params:
    """tags: remove markup, if there is any. entities: decode &amp; to &, &nbsp; to a blank."""

    tags: bool = True
    entities: bool = True


def apply(text: str, params: Params) -> str:
    """Return the text that a browser would show, as far as plain text can."""
    for _ in range(_PASSES):
        if "<" not in text and "&" not in text:
            return text
        before = text
        if params.entities:
            text = _decode_entities(text)
        if params.tags:
            text = _strip_tags(text)
        if text == before:
            return text
    # Deeply nested on purpose. Without these two characters nothing is left to decode.
    return text.replace("&", " ").replace("<", " ")


def _decode_entities(text: str) -> str:
    if "&" not in text:
        return text
    return _ENTITY.sub(_decode_entity, _AMPERSANDS.sub("&", text))


def _decode_entity(found: re.Match[str]) -> str:
    decoded = html.unescape(found.group())
    # A number that is not a character, or is a control character, stays as it was.
    return decoded if decoded != found.group() and "\x00" not in decoded else found.group()


def _strip_tags(text: str) -> str:
    if "<" not in text:
        return text
    text = _remove_between(text, "<!--", "-->")
    if not _is_markup(text):
        return text
    for name in _INVISIBLE_ELEMENTS:
        text = _remove_element(text, name)
    return _TAG.sub(_replacement, text)


def _is_markup(text: str) -> bool:
    """Return whether tags are used as markup rather than quoted: a closing tag, or a block element."""
    for found in _TAG.finditer(text):
        name = found[2].lower()
        if name in _BLOCKS or name in _INVISIBLE_ELEMENTS or (found[1] and name in _INLINE):
            return True
    return False


def _replacement(found: re.Match[str]) -> str:
    name = found[2].lower()
    if name in _BLOCKS:
        return "\n"
    return "" if name in _INLINE or name in _INVISIBLE_ELEMENTS else found.group()


def _remove_between(text: str, begin: str, end: str) -> str:
    """Return the text without everything between two delimiters; an unclosed one is kept."""
    parts: list[str] = []
    at = 0
    while True:
        start = text.find(begin, at)
        stop = text.find(end, start + len(begin)) if start >= 0 else -1
        if stop < 0:
            return "".join(parts) + text[at:] if parts else text
        parts.append(text[at:start] + " ")
        at = stop + len(end)


def _remove_element(text: str, name: str) -> str:
    """Return the text without an element and its content."""
    low = text.lower() if len(text.lower()) == len(text) else text
    parts: list[str] = []
    at = 0
    while True:
        start = low.find(f"<{name}", at)
        stop = low.find(f"</{name}", start) if start >= 0 else -1
        end = low.find(">", stop) if stop >= 0 else -1
        if end < 0:
            return "".join(parts) + text[at:] if parts else text
        parts.append(text[at:start] + " ")
        at = end + 1
