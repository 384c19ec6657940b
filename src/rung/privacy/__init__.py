"""Find personal data in text: one module for each kind, whose `find` yields the spans of its matches."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib import import_module
from typing import Any

from rung.core.spec.cleaning import DEFAULT_KINDS, KINDS
from rung.privacy.spans import MASKED_CHAR, Span, detector_text

__all__ = ["KINDS", "Span", "find_personal_data", "require_packages"]
# Without a digit, an @ or the start of a private key, no kind except names can match.
_PREFILTER = re.compile(
    r"[@＠\d]|PRIVATE KEY|key|token|secret|passw|密码|口令|密钥|令牌|AKIA|ASIA|AKID|LTAI|AIza|gh[opusr]_|sk-|hf_|npm_|glpat|eyJ",
    re.IGNORECASE,
)


def find_personal_data(text: str, kinds: Collection[str] = DEFAULT_KINDS) -> list[Span]:
    """Return the personal data of these kinds, from left to right, without overlaps.

    All kinds are searched in the order of KINDS, requested or not, and each takes its characters from those
    after it: a card number is never a phone number, whatever was requested. Time is linear in the length of
    the text.
    """
    requested = set(kinds)
    if not requested or not ("person" in requested or _PREFILTER.search(text)):
        return []
    detector = detector_text(text)
    remaining = detector.text
    found: list[Span] = []
    for kind in KINDS:
        if kind == "person" and kind not in requested:
            continue
        matches = sorted(_finder(kind).find(remaining))
        for start, end in matches:
            if MASKED_CHAR not in remaining[start:end] and kind in requested:
                found.append(Span(kind, *detector.original(start, end)))
        remaining = _blank_out(remaining, matches)
    return sorted(found, key=lambda span: span.start)


def require_packages(kinds: Collection[str]) -> None:
    """Raise MissingExtra when a kind needs packages that are not installed."""
    if "person" in kinds:
        _finder("person").require()


@cache
def _finder(kind: str) -> Any:
    return import_module(f"rung.privacy.{kind}")


def _blank_out(text: str, matches: list[tuple[int, int]]) -> str:
    """Return the text with matches blanked out, so that no later kind finds them again."""
    parts, end_of_last = [], 0
    for start, end in matches:
        if start >= end_of_last:
            parts += [text[end_of_last:start], MASKED_CHAR * (end - start)]
            end_of_last = end
    return "".join([*parts, text[end_of_last:]]) if parts else text
