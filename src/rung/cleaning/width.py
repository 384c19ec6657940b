"""Convert full-width letters and digits, as typed in Chinese and Japanese, to half-width: ＶＩＰ８ becomes VIP8."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LETTERS = {0xFF01 + i: 0x21 + i for i in range(94) if chr(0x21 + i).isalnum()}
# Punctuation inside addresses and numbers: ｚｈａｎｇ＠ｑｑ．ｃｏｍ.
_JOINING_PUNCTUATION = {
    ord(wide): ord(narrow) for wide, narrow in zip("＠．－＿＋／＃％＆＝", "@.-_+/#%&=", strict=True)
}
_BLANKS = {0x3000: 0x20, 0xA0: 0x20, 0x2007: 0x20, 0x202F: 0x20}
_PUNCTUATION = {0xFF01 + i: 0x21 + i for i in range(94)}
_NARROW = {False: _LETTERS | _JOINING_PUNCTUATION | _BLANKS, True: _PUNCTUATION | _BLANKS}
# Most texts contain none: this check is ten times as fast as translating.
_WIDE = {marks: re.compile("[" + "".join(map(chr, table)) + "]") for marks, table in _NARROW.items()}


@dataclass(frozen=True)
class Params:
    """marks: also convert ，。：（）; Chinese text uses the full-width forms, so they are kept by default."""

    marks: bool = False


def apply(text: str, params: Params) -> str:
    """Return the text with half-width letters, digits, blanks and the punctuation that joins them."""
    if text.isascii() or not _WIDE[params.marks].search(text):
        return text
    return text.translate(_NARROW[params.marks])
