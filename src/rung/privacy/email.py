"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Letters of Chinese, Japanese and Thai stand beside an address without a blank: they are not of it.
_UNSPACED = "\u0e00-\u0e7f\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_LOCAL = re.compile(rf"(?:[^\W{_UNSPACED}]|[.!#$%&'*+/=?^`{{|}}~-])+\Z")
_LETTER = rf"[^\W\d_{_UNSPACED}]"
_DOMAIN = re.compile(
    rf"(?:(?:[^\W_{_UNSPACED}]|-){{1,63}}\.){{1,8}}(?:xn--[a-z0-9-]{{2,40}}|{_LETTER}{{2,24}})(?![^\W{_UNSPACED}]|-)",
    re.IGNORECASE,
)
_LONGEST = 64


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each address."""
    at = text.find("@")
    free = 0
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        local = _LOCAL.search(text[max(free, at - _LONGEST) : at]) if domain else None
        if domain and local:
            start = at - len(local.group())
            # A mark before the name is of the sentence: "mail:" is cut by its colon, quotes and dots here.
            start += len(local.group()) - len(local.group().lstrip(".!#$%&'*+/=?^`{|}~-"))
            if start < at:
                yield start, domain.end()
                free = domain.end()
        at = text.find("@", max(at + 1, free))
