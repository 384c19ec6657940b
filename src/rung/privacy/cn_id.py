"""Chinese id numbers: region, birthday, serial number and check digit (GB 11643); old 15-digit numbers where
words say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_DAY = r"(?:0[1-9]|1[0-2])[ -]?(?:0[1-9]|[12][0-9]|3[01])"
_NEW = re.compile(
    rf"(?<![0-9A-Za-z])[1-9][0-9]{{5}}[ -]?(?:18|19|20)[0-9]{{2}}[ -]?{_DAY}[ -]?[0-9]{{3}}[0-9Xx](?![0-9A-Za-z])"
)
_OLD = re.compile(rf"(?<![0-9A-Za-z])[1-9][0-9]{{5}}[0-9]{{2}}{_DAY}[0-9]{{3}}(?![0-9A-Za-z])")
_KEYWORDS = re.compile("身份证|身分證|身份號|身份号|证件|ID card", re.IGNORECASE)
# Province codes (GB/T 2260), and 81 to 83 of residence permits of Hong Kong, Macao and Taiwan.
_REGIONS = {
    *range(11, 16),
    *range(21, 24),
    *range(31, 38),
    *range(41, 47),
    *range(50, 55),
    *range(61, 66),
    71,
    81,
    82,
    83,
}
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each number."""
    for found in _NEW.finditer(text):
        if is_valid("".join(char for char in found.group() if char.isalnum())):
            yield found.span()
    for found in _OLD.finditer(text):
        keyword = _KEYWORDS.search(text, max(found.start() - 16, 0), found.start())
        if keyword and int(found.group()[:2]) in _REGIONS:
            yield found.span()


def is_valid(number: str) -> bool:
    """Return whether the check character of an 18-character number is valid (GB 11643-1999, ISO 7064 MOD
    11-2).
    """
    if int(number[:2]) not in _REGIONS:
        return False
    total = sum(int(char) * weight for char, weight in zip(number[:17], _WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == number[17].upper()
