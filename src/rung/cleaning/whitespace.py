"""Normalise white space: one blank between words, one empty line between paragraphs, none at the ends."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
# Runs other than a single plain blank.
_BLANKS = re.compile(" ?[^\\S\n ][^\\S\n]*| {2,}[^\\S\n]*")
_AROUND = re.compile(" ?\n ?")
_PARAGRAPHS = re.compile("\n{3,}")


@dataclass(frozen=True)
class Params:
    """lines: keep line breaks and empty lines between paragraphs; false joins the text to one line."""

    lines: bool = True


def apply(text: str, params: Params) -> str:
    """Return the text with normalised white space."""
    # Printable text has no white space except blanks: most texts take this path.
    if text.isprintable() and "  " not in text:
        return text.strip()
    text = _LINE_ENDS.sub("\n", text)
    if not params.lines:
        return " ".join(text.split())
    text = _BLANKS.sub(" ", text)
    return _PARAGRAPHS.sub("\n\n", _AROUND.sub("\n", text)).strip() if "\n" in text else text.strip()
