"""Replace personal data by placeholders: the same value gets the same placeholder within a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from rung.privacy import find_personal_data
from rung.privacy.spans import MASK_PATTERN, Span, detector_text

# A replaced value can have hidden its neighbours; only constructed text needs more rounds than this.
_MAX_ROUNDS = 6


class RowMasker:
    """Masks the texts of one row. found: number of masked values of each kind."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.found: Counter[str] = Counter()
        self._placeholders: dict[tuple[str, str], str] = {}
        # Numbering continues after placeholders that are already in the row.
        self._last: Counter[str] = Counter()
        for text in texts:
            if "<" in text:
                for mark in MASK_PATTERN.finditer(text):
                    kind = mark[1].lower()
                    self._last[kind] = max(self._last[kind], int(mark[2]))

    def mask(self, text: str, kinds: Collection[str]) -> str:
        """Return the text with placeholders in place of the values of these kinds."""
        for _ in range(_MAX_ROUNDS):
            spans = find_personal_data(text, kinds)
            if not spans:
                break
            parts, end_of_last = [], 0
            for span in spans:
                parts += [text[end_of_last : span.start], self._placeholder(span, text)]
                end_of_last = span.end
            text = "".join([*parts, text[end_of_last:]])
        return text

    def _placeholder(self, span: Span, text: str) -> str:
        key = (span.kind, normalized_value(span.kind, text[span.start : span.end]))
        if key not in self._placeholders:
            self._last[span.kind] += 1
            self._placeholders[key] = f"<{span.kind.upper()}_{self._last[span.kind]}>"
        self.found[span.kind] += 1
        return self._placeholders[key]


def normalized_value(kind: str, text: str) -> str:
    """Return a value without spelling differences: blanks, hyphens, width, case."""
    value = detector_text(text).text
    if kind == "secret":
        return value
    if kind in {"phone", "card", "cn_id", "plate"}:
        value = "".join(char for char in value if char.isalnum())
    return value.casefold()


def redact(text: str, kinds: Collection[str]) -> str:
    """Return the text with a dot for each character of personal data: for display, not for learning."""
    parts, end_of_last = [], 0
    for span in find_personal_data(text, kinds):
        parts += [text[end_of_last : span.start], "•" * (span.end - span.start)]
        end_of_last = span.end
    return "".join([*parts, text[end_of_last:]])
