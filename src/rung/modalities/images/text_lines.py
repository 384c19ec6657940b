"""Lines of text on an image: what was read where, in the order in which people read, and as one text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MAX_LINES, MAX_CHARS = 10_000, 10_000
# Pieces whose heights overlap by this share of the lower one stand on one line.
_SAME_LINE = 0.5


class TextLine(NamedTuple):
    """A piece of text and its rectangle in pixels of the upright image. score: how sure the reader is, in [0, 1]."""

    text: str
    x: float
    y: float
    width: float
    height: float
    score: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: text, score where there is one, and box [x, y, width, height]."""
        scored = {} if self.score is None else {"score": round(self.score, 4)}
        return {"text": self.text, **scored, "box": [round(value, 1) for value in self[1:5]]}


Lines = tuple[TextLine, ...]


def lines_of(value: Any) -> Lines:
    """Return lines from their JSON form, or lines already. Raises ValueError, "bad_lines: reason"."""
    if not isinstance(value, list | tuple):
        raise ValueError("bad_lines: holds no list of lines")
    if len(value) > MAX_LINES:
        raise ValueError(f"bad_lines: holds {len(value):,} lines; at most {MAX_LINES:,} are read")
    return tuple(_line(item, number) for number, item in enumerate(value, 1))


def _line(item: Any, number: int) -> TextLine:
    if isinstance(item, TextLine):
        return item
    if isinstance(item, list | tuple) and len(item) == 6:  # what JSON makes of a line
        item = {"text": item[0], "box": item[1:5], "score": item[5]}
    box = item.get("box") if isinstance(item, Mapping) else None
    text = item.get("text") if isinstance(item, Mapping) else None
    if not isinstance(text, str) or len(text) > MAX_CHARS:
        raise ValueError(f"bad_lines: line {number} has no `text` of at most {MAX_CHARS:,} characters")
    score = item.get("score")
    numbers = [*box, *([] if score is None else [score])] if isinstance(box, list | tuple) else []
    if len(numbers) - (score is not None) != 4 or not all(map(_is_number, numbers)):
        raise ValueError(
            f"bad_lines: line {number} needs `box: [x, y, width, height]`, and a number as score"
        )
    return TextLine(text, *map(float, numbers))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def in_reading_order(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Return the pieces of each line from left to right, lines from top to bottom.

    Pieces stand on one line where their heights overlap by half of the lower one. Columns beside each other are read
    across, as the lines of a table or of a card are.
    """
    rows: list[list[TextLine]] = []
    for piece in sorted(lines, key=lambda line: (line.y + line.height / 2, line.x)):
        row = next((row for row in reversed(rows[-3:]) if _beside(row[-1], piece)), None)
        if row is None:
            rows.append([piece])
        else:
            row.append(piece)
    return [sorted(row, key=lambda line: line.x) for row in rows]


def _beside(one: TextLine, other: TextLine) -> bool:
    shared = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return shared >= _SAME_LINE * min(one.height, other.height)


def as_text(rows: Sequence[Sequence[TextLine]]) -> str:
    """Return one text: pieces of a line with a space between them, lines with a line break."""
    return "\n".join(" ".join(piece.text for piece in row) for row in rows)
