"""Spans of personal data in a text, and the normalised text that all detectors read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rung.core.spec.cleaning import KINDS


@dataclass(frozen=True, slots=True)
class Span:
    """Personal data in a text: [start, end) in characters."""

    kind: str
    start: int
    end: int


# A placeholder. Case matters: a lower-case look-alike typed by a user is text.
MASK_PATTERN = re.compile(r"<(" + "|".join(kind.upper() for kind in KINDS) + r")_([0-9]{1,9})>")
# A character that no pattern matches, in place of what is already masked or found.
MASKED_CHAR = "\0"
_INVISIBLE = re.compile("[\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_TRANSLATION = (
    {0xFF01 + i: 0x21 + i for i in range(94)}
    | dict.fromkeys([0xA0, 0x3000, *range(0x2000, 0x200B), 0x202F], 0x20)
    | dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63], 0x2D)
)


@dataclass(frozen=True)
class DetectorText:
    """A text as detectors read it: half-width letters and digits, no invisible characters, placeholders
    blanked out.

    places: original position of each character, and the original length at the end; () when no character
    moved.
    """

    text: str
    places: Sequence[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the position of a span of this text in the original."""
        return (self.places[start], self.places[end - 1] + 1) if self.places else (start, end)


def detector_text(text: str) -> DetectorText:
    """Return the text as detectors read it."""
    places: Sequence[int] = ()
    if not text.isascii():
        if _INVISIBLE.search(text):
            places = [i for i, char in enumerate(text) if not _INVISIBLE.match(char)]
            text = "".join(text[i] for i in places)
        text = text.translate(_TRANSLATION)
        # Digits of other scripts are digits of a phone number as well.
        text = (
            re.sub(r"[^\x00-\x7f]", _to_ascii_digit, text)
            if re.search(r"[^\x00-\x7f]", text) and _has_foreign_digit(text)
            else text
        )
    return DetectorText(MASK_PATTERN.sub(lambda found: MASKED_CHAR * len(found.group()), text), places)


def _has_foreign_digit(text: str) -> bool:
    return re.search(r"(?![0-9])\d", text) is not None


def _to_ascii_digit(found: re.Match[str]) -> str:
    value = unicodedata.decimal(found.group(), None)
    return found.group() if value is None else str(value)
