"""Where personal data stands in a text, and the text as the detectors of every kind read it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rung.core.spec.cleaning import KINDS


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text that is personal: [start, end) in characters."""

    kind: str
    start: int
    end: int


# What a mask leaves. Letters case as written by us: what a user typed like it in lower case is text.
MASK_PATTERN = re.compile(r"<(" + "|".join(kind.upper() for kind in KINDS) + r")_([0-9]{1,9})>")
# A character that no pattern takes, in place of what is already masked or found.
MASKED_CHAR = "\0"
_INVISIBLE = re.compile("[\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_TRANSLATION = (
    {0xFF01 + i: 0x21 + i for i in range(94)}
    | dict.fromkeys([0xA0, 0x3000, *range(0x2000, 0x200B), 0x202F], 0x20)
    | dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63], 0x2D)
)


@dataclass(frozen=True)
class DetectorText:
    """A text as detectors read it: narrow letters and digits, no invisible characters, masks as holes.

    places: the position in the original of each character, and its length at the end; () when none moved.
    """

    text: str
    places: Sequence[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return where a piece of the plain text stands in the original."""
        return (self.places[start], self.places[end - 1] + 1) if self.places else (start, end)


def detector_text(text: str) -> DetectorText:
    """Return the text as detectors read it."""
    places: Sequence[int] = ()
    if not text.isascii():
        if _INVISIBLE.search(text):
            places = [i for i, char in enumerate(text) if not _INVISIBLE.match(char)]
            text = "".join(text[i] for i in places)
        text = text.translate(_TRANSLATION)
        # Digits of other scripts are digits of a phone number too.
        text = (
            re.sub(r"[^\x00-\x7f]", _digit, text)
            if re.search(r"[^\x00-\x7f]", text) and _foreign(text)
            else text
        )
    return DetectorText(MASK_PATTERN.sub(lambda found: MASKED_CHAR * len(found.group()), text), places)


def _foreign(text: str) -> bool:
    return re.search(r"(?![0-9])\d", text) is not None


def _digit(found: re.Match[str]) -> str:
    value = unicodedata.decimal(found.group(), None)
    return found.group() if value is None else str(value)
