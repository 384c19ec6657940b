"""Wide letters and digits, as Chinese and Japanese keyboards write them, made narrow: ＶＩＰ８ becomes VIP8."""

from __future__ import annotations

from dataclasses import dataclass

_LETTERS = {0xFF01 + i: 0x21 + i for i in range(94) if chr(0x21 + i).isalnum()}
# These join letters and digits to addresses and numbers: ｚｈａｎｇ＠ｑｑ．ｃｏｍ.
_JOINTS = {ord(wide): ord(narrow) for wide, narrow in zip("＠．－＿＋／＃％＆＝", "@.-_+/#%&=", strict=True)}
_BLANKS = {0x3000: 0x20, 0xA0: 0x20, 0x2007: 0x20, 0x202F: 0x20}
_MARKS = {0xFF01 + i: 0x21 + i for i in range(94)}


@dataclass(frozen=True)
class Params:
    """marks: also make ，。：（） narrow; Chinese prose is written with the wide ones, so they stay by default."""

    marks: bool = False


def apply(text: str, params: Params) -> str:
    """Return the text with narrow letters, digits, blanks and the marks that join them."""
    if text.isascii():
        return text
    return text.translate(_MARKS | _BLANKS if params.marks else _LETTERS | _JOINTS | _BLANKS)
