"""Cut text into sentences as it comes: what a written text is checked, mended and streamed by."""

from __future__ import annotations

import re

# A sentence without an end is cut at a word after so many characters.
MOST_SENTENCE_CHARS = 240
_ENDS = re.compile(r"[。！？!?…；](?=[^。！？!?…”’」』\"')]|$)[”’」』]?|[.!?][\"')”’]?(?=\s)|\n")
_END = re.compile(r"(?:[。！？!?…；][”’」』]?|[.!?][\"')”’]?\s|\n)$")
_BLANKS = re.compile(r"\s")


def ends_sentence(text: str) -> bool:
    """Return whether a text that grows at its end has just finished a sentence, or is as long as one may be."""
    if _END.search(text[-3:]):
        return True
    return len(text) >= MOST_SENTENCE_CHARS and (text[-1].isspace() or len(text) >= 2 * MOST_SENTENCE_CHARS)


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text; joined they are the text."""
    parts, begin = [], 0
    for found in _ENDS.finditer(text):
        end = found.end()
        # Blanks behind a sentence are its own.
        while end < len(text) and text[end].isspace():
            end += 1
        parts.append(text[begin:end])
        begin = end
    parts.append(text[begin:])
    return [piece for part in parts for piece in _pieces(part) if piece]


def cut_at_word(text: str, most: int) -> str:
    """Return at most `most` characters of a text, cut behind a word where it has blanks."""
    if len(text) <= most:
        return text
    last = max((found.start() for found in _BLANKS.finditer(text, 0, most + 1)), default=0)
    return text[:last] if last > most // 2 else text[:most]


def _pieces(text: str) -> list[str]:
    """Return a sentence in parts that are no longer than one may be."""
    found = []
    while len(text) > 2 * MOST_SENTENCE_CHARS:
        head = cut_at_word(text, MOST_SENTENCE_CHARS)
        found.append(head)
        text = text[len(head) :]
    return [*found, text]
