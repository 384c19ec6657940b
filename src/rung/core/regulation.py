"""Detect hints that a product touches regulated areas (personal data, credit, health); not legal advice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rung.core.package_data import packaged_table

# A word in a text is a sign only when so large a share of the texts holds one.
_SHARE = 0.05
_FEWEST = 3


def kinds() -> tuple[str, ...]:
    """Return what a product can be said to touch."""
    return tuple(packaged_table("regulation"))


def detect(names: Iterable[str], texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return kind -> what was seen: the name that says it, or in how many of the texts.

    names: of columns and labels. texts: a sample of inputs.
    """
    found: dict[str, dict[str, Any]] = {}
    named = [name for name in names if len(name) <= 60]
    for kind, signs in packaged_table("regulation").items():
        hit = next((name for name in named if any(_named(word, name) for word in signs["names"])), None)
        if hit is not None:
            found[kind] = {"name": hit}
            continue
        patterns = [*signs.get("cells", ()), *(re.escape(word) for word in signs.get("words", ()))]
        if patterns and texts:
            matcher = re.compile("|".join(patterns), re.IGNORECASE)
            count = sum(bool(matcher.search(text)) for text in texts)
            if count >= max(_FEWEST, _SHARE * len(texts)):
                found[kind] = {"texts": count, "of": len(texts)}
    return found


def detect_cells(cells: Sequence[str]) -> list[str]:
    """Return the kinds that most of a column's cells show by their form, such as addresses of email."""
    found = []
    for kind, signs in packaged_table("regulation").items():
        matcher = re.compile("|".join(signs.get("cells", ())) or r"(?!)", re.IGNORECASE)
        if len(cells) >= _FEWEST and sum(bool(matcher.search(str(cell))) for cell in cells) > len(cells) / 2:
            found.append(kind)
    return found


def _named(word: str, name: str) -> bool:
    """Return whether a name holds a word: whole for Latin letters, anywhere for Chinese."""
    folded = name.casefold()
    if not word.isascii():
        return word in folded
    return re.search(rf"(?<![a-z]){re.escape(word)}(?![a-z])", folded) is not None
