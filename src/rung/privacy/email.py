"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Letters of scripts without spaces can be adjacent to an address without belonging to it.
_UNSPACED = "\u0e00-\u0e7f\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_LOCAL = re.compile(rf"(?:[^\W{_UNSPACED}]|[.!#$%&'*+/=?^`{{|}}~-])+\Z")
_LETTER = rf"[^\W\d_{_UNSPACED}]"
_DOMAIN = re.compile(
    rf"(?:(?:[^\W_{_UNSPACED}]|-){{1,63}}\.){{1,8}}(?:xn--[a-z0-9-]{{2,40}}|{_LETTER}{{2,24}})(?![^\W{_UNSPACED}]|-)",
    re.IGNORECASE,
)
_MAX_LOCAL = 64


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each address."""
    at = text.find("@")
    end_of_last = 0
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        local = _LOCAL.search(text[max(end_of_last, at - _MAX_LOCAL) : at]) if domain else None
        if domain and local:
            start = at - len(local.group())
            # Leading punctuation belongs to the sentence, not to the address.
            start += len(local.group()) - len(local.group().lstrip(".!#$%&'*+/=?^`{|}~-"))
            if start < at:
                yield start, domain.end()
                end_of_last = domain.end()
        at = text.find("@", max(at + 1, end_of_last))
