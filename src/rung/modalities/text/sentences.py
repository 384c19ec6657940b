"""Cut text into sentences as it comes: what a written text is checked, mended and streamed by."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

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


class StreamedSentences:
    """The sentences of a text that comes in pieces. returned: by the generator at its end, None before."""

    def __init__(self, stream: Generator[str, None, Any]) -> None:
        self._stream, self._text = stream, ""
        self.returned: Any = None

    def next(self, again: int) -> tuple[str, bool] | None:
        """Return the next sentence, and whether the text ends with it; None where another one is asked for: the model has gone on."""
        if again:
            return None
        sentence = ""
        while True:
            # A piece may hold the end of one sentence and the beginning of another.
            for place in range(1, len(self._text) + 1):
                if ends_sentence(sentence + self._text[:place]):
                    sentence, self._text = sentence + self._text[:place], self._text[place:]
                    return sentence, False
            sentence, self._text = sentence + self._text, ""
            try:
                self._text = next(self._stream)
            except StopIteration as done:
                self.returned = done.value
                return sentence, True

    def accept(self) -> None:
        """Sentences come in order, whatever becomes of them."""

    def close(self) -> None:
        """Stop whoever writes."""
        self._stream.close()


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
