"""Remains of web pages: tags, comments, scripts and entities. What only looks like a tag stays."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

# A fixed list, so that `a < b`, `<PHONE_1>`, `List<String>` and <zhang@qq.com> are not taken for tags.
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
_HIDDEN = ("script", "style")
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:]{0,14})(?=[\s/>])([^<>]{0,2000})>")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# &amp;amp;amp; and its numeric forms: unfolded at once, since one layer a pass would be slow without end.
_AMPERSANDS = re.compile(r"&(?:amp;|AMP;|#0{0,4}38;|#[xX]0{0,4}26;)+")
_PASSES = 8


@dataclass(frozen=True)
class Params:
    """tags: remove markup, where there is some. entities: write &amp; as &, &nbsp; as a blank."""

    tags: bool = True
    entities: bool = True


def apply(text: str, params: Params) -> str:
    """Return the text a browser would show, as far as text goes."""
    for _ in range(_PASSES):
        if "<" not in text and "&" not in text:
            return text
        before = text
        if params.entities:
            text = _decoded(text)
        if params.tags:
            text = _stripped(text)
        if text == before:
            return text
    # Layers upon layers: written to confuse. Without these two characters nothing is left to unfold.
    return text.replace("&", " ").replace("<", " ")


def _decoded(text: str) -> str:
    if "&" not in text:
        return text
    return _ENTITY.sub(_character, _AMPERSANDS.sub("&", text))


def _character(found: re.Match[str]) -> str:
    decoded = html.unescape(found.group())
    # A number that names no character, or a control, becomes nothing but what it was.
    return decoded if decoded != found.group() and "\x00" not in decoded else found.group()


def _stripped(text: str) -> str:
    if "<" not in text:
        return text
    text = _without(text, "<!--", "-->")
    if not _is_markup(text):
        return text
    for name in _HIDDEN:
        text = _without_element(text, name)
    return _TAG.sub(_gap, text)


def _is_markup(text: str) -> bool:
    """Return whether tags are markup here, not the subject: one that closes, or one that breaks lines."""
    for found in _TAG.finditer(text):
        name = found[2].lower()
        if name in _BLOCKS or name in _HIDDEN or (found[1] and name in _INLINE):
            return True
    return False


def _gap(found: re.Match[str]) -> str:
    name = found[2].lower()
    if name in _BLOCKS:
        return "\n"
    return "" if name in _INLINE or name in _HIDDEN else found.group()


def _without(text: str, begin: str, end: str) -> str:
    """Return the text without what stands between two marks; an opened one that never closes stays."""
    parts: list[str] = []
    at = 0
    while True:
        start = text.find(begin, at)
        stop = text.find(end, start + len(begin)) if start >= 0 else -1
        if stop < 0:
            return "".join(parts) + text[at:] if parts else text
        parts.append(text[at:start] + " ")
        at = stop + len(end)


def _without_element(text: str, name: str) -> str:
    """Return the text without an element and all it holds."""
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
