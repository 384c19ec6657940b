"""Find personal data in text: one file a kind, its name the kind's, its `find` yielding where it stands."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib import import_module
from typing import Any

from rung.core.spec.cleaning import KINDS, PLAIN_KINDS
from rung.privacy.spans import MASKED_CHAR, Span, detector_text

__all__ = ["KINDS", "PLAIN_KINDS", "Span", "find", "require"]
# Without a digit, an @ or the beginning of a private key, no kind but names can be there.
_PREFILTER = re.compile(
    r"[@＠\d]|PRIVATE KEY|key|token|secret|passw|密码|口令|密钥|令牌|AKIA|ASIA|AKID|LTAI|AIza|gh[opusr]_|sk-|hf_|npm_|glpat|eyJ",
    re.IGNORECASE,
)


def find_personal_data(text: str, kinds: Collection[str] = PLAIN_KINDS) -> list[Span]:
    """Return what is personal of these kinds, from left to right, none over another.

    Every kind is looked for in the order of KINDS, asked for or not, and takes its characters from those after
    it: a card number is no phone number whatever was asked. Time is linear in the length of the text.
    """
    wanted = set(kinds)
    if not wanted or not ("person" in wanted or _PREFILTER.search(text)):
        return []
    seen = detector_text(text)
    left = seen.text
    found: list[Span] = []
    for kind in KINDS:
        if kind == "person" and kind not in wanted:
            continue
        spots = sorted(_finder(kind).find(left))
        for start, end in spots:
            if MASKED_CHAR not in left[start:end] and kind in wanted:
                found.append(Span(kind, *seen.original(start, end)))
        left = _blank_out(left, spots)
    return sorted(found, key=lambda span: span.start)


def require_packages(kinds: Collection[str]) -> None:
    """Raise MissingExtra when a kind needs packages that are not installed."""
    if "person" in kinds:
        _finder("person").require()


@cache
def _finder(kind: str) -> Any:
    return import_module(f"rung.privacy.{kind}")


def _blank_out(text: str, spots: list[tuple[int, int]]) -> str:
    """Return the text with holes where something was found, so that no later kind finds it again."""
    parts, at = [], 0
    for start, end in spots:
        if start >= at:
            parts += [text[at:start], MASKED_CHAR * (end - start)]
            at = end
    return "".join([*parts, text[at:]]) if parts else text
