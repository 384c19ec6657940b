"""Number plates of mainland China: 京A·12345, and 沪AD12345 of electric cars."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PLATE = re.compile(
    "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使][A-HJ-NP-Za-hj-np-z][·•.・ -]?"
    "(?:[DFdf][A-HJ-NP-Za-hj-np-z0-9][0-9]{4}|[0-9]{5}[DFdf]|[A-HJ-NP-Za-hj-np-z0-9]{4}[A-HJ-NP-Za-hj-np-z0-9挂学警港澳领])"
    "(?![0-9A-Za-z])"
)


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each plate with at least two digits."""
    for found in _PLATE.finditer(text):
        if sum(char.isdigit() for char in found.group()) >= 2:
            yield found.span()
