"""Convert traditional Chinese characters to simplified ones, character by character."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Params:
    """No parameters."""


def apply(text: str, params: Params) -> str:
    """Return the text in simplified characters by OpenCC's table; 乾 and 著, which are ambiguous, get the more
    common one.
    """
    return text if text.isascii() else text.translate(table())


@cache
def table() -> dict[int, str]:
    """Return traditional code point -> simplified character."""
    lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    pairs = [line for line in lines if not line.startswith("#")]
    return {
        ord(old): new
        for olds, news in zip(pairs[::2], pairs[1::2], strict=True)
        for old, new in zip(olds, news, strict=True)
    }
