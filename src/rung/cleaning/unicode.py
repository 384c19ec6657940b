"""Normalise Unicode and remove invisible characters."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

# Control characters except tab and line ends, soft hyphen, zero-width and direction marks, byte-order marks,
# text variation selectors, tag characters. The joiners U+200C and U+200D are kept: they are part of the
# spelling in Persian and Hindi, and join emoji.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Between Latin letters, digits and Chinese characters a joiner has no function but to hide a word from
# filters.
_UNNEEDED_JOINER = re.compile("(?<![\u0600-\u1fff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]+")


@dataclass(frozen=True)
class Params:
    """form: nfc keeps characters that look different; nfkc turns ① into 1, ㎏ into kg, ½ into 1⁄2, full-width
    into half-width.
    """

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
        # Lone surrogates, which JSON can contain, are not characters: tokenizers reject them.
        text = (
            "".join(char for char in text if not "\ud800" <= char <= "\udfff")
            if _has_lone_surrogate(text)
            else text
        )
        text = unicodedata.normalize(form, _INVISIBLE.sub("", _UNNEEDED_JOINER.sub("", text)))
        if text == before:
            break
    return text


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
