"""Check for texts in no language: random keystrokes, broken encodings, punctuation without words."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter

from rung.data.profile.finding import Finding, Level
from rung.data.profile.view import View

KINDS = frozenset({"text"})
TARGETS = False
WHEN = "build"
# UTF-8 that was read as Latin-1 or GBK, and characters that stand for lost ones.
_BROKEN = re.compile(r"\ufffd{2,}|锟斤拷|(?:Ã[\x80-\xbf©¨¤¶¼±³]|â€[™œ\x9d“”¦]){2,}|(?:烫烫|屯屯)")
_SAME = re.compile(r"(\S)\1{9,}")
_LATIN = re.compile(r"[a-z]{2,}")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}")
# Bits a letter pair may cost beyond the mean of the data, and letters below which nothing is said.
_EXCESS, _LETTERS = 2.6, 12


def check(view: View) -> Finding | None:
    """Return the rows that read like no language; Latin letters are judged by how pairs follow in these very data."""
    texts = view.texts
    pairs = _Pairs(texts)
    notes = {i: why for i, text in enumerate(texts) if (why := _why(text, pairs))}
    if not notes:
        return None
    kinds = Counter(notes.values())
    shown = ", ".join(f"{name} {count}" for name, count in kinds.most_common())
    level: Level = "warn" if len(notes) > 0.001 * len(texts) else "info"
    return Finding("gibberish", level, len(notes), len(texts), {"kinds": shown}, view.evidence(list(notes), notes.__getitem__))  # fmt: skip


def _why(text: str, pairs: _Pairs) -> str:
    """Return what is wrong with a text in one word; "" for nothing."""
    if _BROKEN.search(text):
        return "encoding"
    solid = [char for char in text if not char.isspace()]
    if len(solid) >= 4 and not any(char.isalnum() or _is_emoji(char) for char in solid):
        return "marks"
    if _SAME.search(text) and len(set(solid)) <= max(3, len(solid) // 12):
        return "repeated"
    return "letters" if pairs.odd(text) else ""


def _is_emoji(char: str) -> bool:
    return unicodedata.category(char) == "So"


class _Pairs:
    """How often one Latin letter follows another in these data: random keys cost more bits a pair than words do."""

    def __init__(self, texts: list[str]) -> None:
        counts: Counter[str] = Counter()
        for text in texts[:: max(len(texts) // 5_000, 1)]:
            for word in _LATIN.findall(text[:1_000].casefold()):
                counts.update(a + b for a, b in zip(f" {word}", f"{word} ", strict=True))
        total = max(counts.total(), 1)
        self._bits = {pair: -math.log2(count / total) for pair, count in counts.items()}
        self._unseen = math.log2(total * 4.0)
        self._mean = sum(self._bits[pair] * count for pair, count in counts.items()) / total
        # Too few pairs tell nothing of a language.
        self._knows = total >= 5_000

    def odd(self, text: str) -> bool:
        """Return whether a text's Latin words are unlike all others: dear in pairs, and with no vowels for long."""
        words = _LATIN.findall(text[:1_000].casefold())
        letters = sum(map(len, words))
        if not self._knows or letters < _LETTERS or letters < 0.5 * len(text[:1_000].replace(" ", "")):
            return False
        found = [a + b for word in words for a, b in zip(f" {word}", f"{word} ", strict=True)]
        bits = sum(self._bits.get(pair, self._unseen) for pair in found) / len(found)
        hard = sum(len(run) for run in _CONSONANTS.findall(" ".join(words)))
        return bits > self._mean + _EXCESS or (bits > self._mean + 1.2 and hard > 0.3 * letters)
