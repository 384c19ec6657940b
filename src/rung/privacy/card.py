"""Bank card numbers: 12 to 19 digits with an issuer's prefix and a valid check digit."""

from __future__ import annotations

import re
from collections.abc import Iterator

_RUN = re.compile(r"(?<![0-9A-Za-z.,_])[0-9]{1,19}(?:[ -][0-9]{1,19}){0,11}(?![0-9A-Za-z_])")
_GROUP = re.compile(r"[0-9]+")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2} ?\Z")
# Issuer prefixes (ISO/IEC 7812, as published by the networks) and their lengths.
_ISSUERS = (
    (re.compile(r"4"), {13, 16, 19}),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"30[0-5]|309|36|3[89]"), set(range(14, 20))),
    (re.compile(r"6011|64[4-9]|65|62|60|81"), set(range(16, 20))),
    (re.compile(r"35|2131|1800"), {15, 16, 17, 18, 19}),
    (re.compile(r"5018|5020|5038|5893|6304|6759|676[1-3]|0604|6390"), set(range(12, 20))),
    (re.compile(r"9[0-9]|5[0-9]|4[0-9]|6[0-9]"), {16, 18, 19}),
)


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each card number, including blanks and hyphens between its groups."""
    for run in _RUN.finditer(text):
        if _IBAN.search(text[max(run.start() - 5, 0) : run.start()]):
            continue
        groups = [found.span() for found in _GROUP.finditer(text, run.start(), run.end())]
        first = 0
        while first < len(groups):
            last = _card_from(text, groups, first)
            if last is None:
                first += 1
                continue
            yield groups[first][0], groups[last][1]
            first = last + 1


def _card_from(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """Return the last group of the longest card number that starts with this group."""
    digits, found = "", None
    for last in range(first, len(groups)):
        size = groups[last][1] - groups[last][0]
        if last > first and size == 1:
            return found
        digits += text[groups[last][0] : groups[last][1]]
        if len(digits) > 19:
            return found
        if len(digits) >= 12 and _is_card(digits):
            found = last
    return found


def _is_card(digits: str) -> bool:
    known = any(issuer.match(digits) and len(digits) in lengths for issuer, lengths in _ISSUERS)
    return known and len(set(digits)) > 1 and luhn(digits)


def luhn(digits: str) -> bool:
    """Return whether the check digit is valid (Luhn, US patent 2,950,048)."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
