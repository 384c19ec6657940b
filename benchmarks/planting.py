"""Faults planted in real texts: wrong labels, and copies with words dropped, in another order, or misread."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

# What optical character recognition mistakes, and frequent ideographs that stand in for others.
_MISREAD = {
    "o": "0",
    "l": "1",
    "i": "l",
    "e": "c",
    "s": "5",
    "a": "o",
    "m": "rn",
    "u": "v",
    "n": "h",
    "t": "f",
    "g": "9",
    "b": "6",
}
_COMMON = "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心学么之都好看起发当没成只如事把还用第样道想作种开"


def wrong_labels(labels: Sequence[str], share: float, seed: int) -> tuple[list[str], set[int]]:
    """Return labels of which this share are another one, evenly drawn, and the rows that are wrong."""
    draw = random.Random(seed)
    names = sorted(set(labels))
    rows = set(draw.sample(range(len(labels)), round(share * len(labels))))
    changed = [
        draw.choice([n for n in names if n != label]) if i in rows else label
        for i, label in enumerate(labels)
    ]
    return changed, rows


def _units(text: str) -> tuple[list[str], str]:
    return (text.split(), " ") if text.count(" ") > len(text) / 20 else (list(text), "")


def dropped(text: str, draw: random.Random) -> str:
    """Return the text without 15 % of its words, of Chinese its characters."""
    words, join = _units(text)
    return join.join(word for word in words if draw.random() > 0.15)


def reordered(text: str, draw: random.Random) -> str:
    """Return the text in five pieces of equal length, shuffled."""
    words, join = _units(text)
    size = max(len(words) // 5, 2)
    pieces = [words[i : i + size] for i in range(0, len(words), size)]
    draw.shuffle(pieces)
    return join.join(word for piece in pieces for word in piece)


def misread(text: str, draw: random.Random) -> str:
    """Return the text with one character in twenty misread."""
    return "".join(
        _MISREAD.get(char.lower(), draw.choice(_COMMON) if char >= "\u4e00" else "")
        if char.isalnum() and draw.random() < 0.05
        else char
        for char in text
    )


PLANTS: dict[str, Callable[[str, random.Random], str]] = {
    "word dropout": dropped, "reordering": reordered, "misread letters": misread,
}  # fmt: skip
