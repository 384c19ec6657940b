"""Put marks in the place of personal data: the same value, the same mark, all through a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from rung.privacy import find_personal_data
from rung.privacy.spans import MASK_PATTERN, Span, detector_text

# What a mark replaces can have kept its neighbours from being seen; more rounds than this only a riddle needs.
_MAX_ROUNDS = 6


class RowMasker:
    """The marks of one row. found: how many values of each kind were masked."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.found: Counter[str] = Counter()
        self._marks: dict[tuple[str, str], str] = {}
        # Numbers go on where marks that already stand in the row end.
        self._last: Counter[str] = Counter()
        for text in texts:
            if "<" in text:
                for mark in MASK_PATTERN.finditer(text):
                    kind = mark[1].lower()
                    self._last[kind] = max(self._last[kind], int(mark[2]))

    def mask(self, text: str, kinds: Collection[str]) -> str:
        """Return the text with a mark in the place of each value of these kinds."""
        for _ in range(_MAX_ROUNDS):
            spans = find_personal_data(text, kinds)
            if not spans:
                break
            parts, at = [], 0
            for span in spans:
                parts += [text[at : span.start], self._mark(span, text)]
                at = span.end
            text = "".join([*parts, text[at:]])
        return text

    def _mark(self, span: Span, text: str) -> str:
        key = (span.kind, normalized_value(span.kind, text[span.start : span.end]))
        if key not in self._marks:
            self._last[span.kind] += 1
            self._marks[key] = f"<{span.kind.upper()}_{self._last[span.kind]}>"
        self.found[span.kind] += 1
        return self._marks[key]


def normalized_value(kind: str, text: str) -> str:
    """Return a value without what only its spelling differs by: blanks, hyphens, width, case."""
    seen = detector_text(text).text
    if kind == "secret":
        return seen
    if kind in {"phone", "card", "cn_id", "plate"}:
        seen = "".join(char for char in seen if char.isalnum())
    return seen.casefold()


def redact(text: str, kinds: Collection[str]) -> str:
    """Return the text with a dot for each character of personal data: for showing, not for learning from."""
    parts, at = [], 0
    for span in find_personal_data(text, kinds):
        parts += [text[at : span.start], "•" * (span.end - span.start)]
        at = span.end
    return "".join([*parts, text[at:]])
