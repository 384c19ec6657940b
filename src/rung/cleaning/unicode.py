"""Characters that nobody sees or that have two spellings: removed, and spelled one way."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

# Controls but tab and line ends, soft hyphen, zero-width and direction marks, byte-order marks, variation
# selectors of text style, tag characters. The joiners U+200C and U+200D stay: they spell words in Persian and Hindi,
# and join emoji.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Between Latin letters, digits and Chinese characters a joiner joins nothing: it only hides a word.
_IDLE_JOINER = re.compile("(?<![\u0600-\u1fff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]+")


@dataclass(frozen=True)
class Params:
    """form: nfc keeps what looks different apart; nfkc makes ① a 1, ㎏ kg, ½ 1⁄2 and wide marks narrow."""

    form: Literal["nfc", "nfkc"] = "nfc"


def apply(text: str, params: Params) -> str:
    """Return the text without invisible characters, in one Unicode normal form (Unicode Annex 15)."""
    if text.isascii() and text.isprintable():
        return text
    text = _INVISIBLE.sub("", text)
    if text.isascii():
        return text
    form: Literal["NFC", "NFKC"] = "NFC" if params.form == "nfc" else "NFKC"
    for _ in range(4):
        before = text
        # Lone surrogates, which JSON can carry, are no characters: no tokeniser takes them.
        text = "".join(char for char in text if not "\ud800" <= char <= "\udfff") if _has_lone(text) else text
        text = unicodedata.normalize(form, _INVISIBLE.sub("", _IDLE_JOINER.sub("", text)))
        if text == before:
            break
    return text


def _has_lone(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
