"""IP addresses: IPv4 and IPv6."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

_FOUR = re.compile(r"(?<![0-9A-Za-z_])(?<![0-9]\.)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z_])(?!\.[0-9])")
_SIX = re.compile(r"(?<![0-9A-Za-z_:.])[0-9A-Fa-f:]{3,39}(?![0-9A-Za-z_:])")
_VERSION = re.compile(
    r"(?:version|ver\.?|release|firmware|build|版本|章节|section)[ :：]{0,2}[vV]?\Z", re.IGNORECASE
)


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each address; "version 1.2.3.4" is not one."""
    for found in _FOUR.finditer(text):
        if _is_address(found.group()) and not _VERSION.search(
            text[max(found.start() - 12, 0) : found.start()]
        ):
            yield found.span()
    for found in _SIX.finditer(text):
        groups = [group for group in found.group().split(":") if group]
        # `::` and times of day are not addresses: at least two groups and a digit are required.
        if len(groups) >= 2 and any(char.isdigit() for char in found.group()) and _is_address(found.group()):
            yield found.span()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
