"""How hard a text is to read: school grades for English, the length of sentences for any language."""

from __future__ import annotations

import re

from rung.modalities.text.sentences import split_sentences

_WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)?")
_VOWELS = re.compile(r"[aeiouy]+")
# Letters of a text that must be Latin for it to have a grade.
_LATIN_SHARE = 0.5


def school_grade(text: str) -> float | None:
    """Return the Flesch-Kincaid grade of an English text (Kincaid et al. 1975); None where fewer than half of its letters are Latin.

    0.39 words a sentence + 11.8 syllables a word - 15.59. Syllables are groups of vowels, less a silent e at the end: a count that is
    off by some tenths of a grade. 0.0 for a text without letters; very short sentences may have a grade below 0.
    """
    letters = sum(char.isalpha() for char in text)
    words = _WORD.findall(text)
    if not letters:
        return 0.0
    if not words or sum(map(len, words)) < _LATIN_SHARE * letters:
        return None
    sentences = sum(bool(_WORD.search(part)) for part in split_sentences(text)) or 1
    return 0.39 * len(words) / sentences + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def syllables(word: str) -> int:
    """Return about how many syllables an English word has; at least one."""
    low = word.casefold()
    count = len(_VOWELS.findall(low))
    is_silent = low.endswith("e") and not low.endswith(("le", "ee")) and count > 1
    return max(count - is_silent, 1)


def sentence_chars(text: str) -> float:
    """Return the letters and digits of a sentence, on average; 0.0 for a text without any. Of Chinese: ideographs."""
    counts = [sum(char.isalnum() for char in part) for part in split_sentences(text)]
    filled = [count for count in counts if count]
    return sum(filled) / len(filled) if filled else 0.0
