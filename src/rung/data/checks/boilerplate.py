"""Check for lines shared by many texts: signatures, disclaimers, form headers."""

from __future__ import annotations

from collections import defaultdict

from rung.data.profile.finding import Finding
from rung.data.profile.view import View

KINDS = frozenset({"text"})
TARGETS = False
WHEN = "build"
# A line this long that stands in this share of the rows, and in so many, is nobody's own words.
_CHARS, _SHARE, _ROWS = 12, 0.02, 10


def check(view: View) -> Finding | None:
    """Return the rows with a line, or the beginning or end of their text, that many others have too."""
    texts = view.texts
    holders: dict[int, int] = defaultdict(int)
    for text in texts:
        for piece in {hash(line) for line in _pieces(text)}:
            holders[piece] += 1
    least = max(_ROWS, _SHARE * len(texts))
    common = {piece for piece, count in holders.items() if count >= least}
    if not common:
        return None
    notes: dict[int, str] = {}
    lines: dict[str, int] = defaultdict(int)
    for i, text in enumerate(texts):
        for line in dict.fromkeys(_pieces(text)):
            if hash(line) in common:
                notes.setdefault(i, line[:80])
                lines[line] += 1
    ranked = sorted(lines.items(), key=lambda item: (-item[1], item[0]))
    shown = "; ".join(f"“{line[:60]}” ({count})" for line, count in ranked[:3])
    values = {"lines": shown, "different": len(lines)}
    return Finding(
        "boilerplate", "warn", len(notes), len(texts), values, view.evidence(list(notes), notes.__getitem__)
    )


def _pieces(text: str) -> list[str]:
    """Return the lines of a text that are long enough to be told by; of a text of one line its first and last words."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    if len(lines) > 1:
        return [line for line in lines if len(line) >= _CHARS]
    line = lines[0] if lines else ""
    # A text of one line: what it begins and ends with, when more than that stands in it.
    return [line[:40], line[-40:]] if len(line) >= 120 else []
