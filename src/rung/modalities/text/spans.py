"""Places in a text: its tokens, where a value stands in it, and answers made of marked places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rung.core.field_values import fields_text, folded_value
from rung.core.types import Prediction, Schema
from rung.modalities.text.ideographs import is_ideograph

# Letters of one word, digits of one number, one ideograph, one other mark; blanks between them belong to none.
_TOKEN = re.compile(r"[^\W\d_]+|\d+|_+|[^\w\s]")
_LETTER = r"[^\W\d_\u3040-\u9fff]"
# Of one text, in characters: what lies beyond is not read.
MAX_CHARS = 100_000


@dataclass(frozen=True)
class Span:
    """A value of a field and where it stands: characters [start, end) of the text. score: how sure, 0 to 1."""

    field: str
    start: int
    end: int
    score: float = 1.0


def tokens_of(text: str) -> list[tuple[int, int]]:
    """Return where each token begins and ends: words, runs of digits, single ideographs, single marks."""
    found: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text[:MAX_CHARS]):
        start, end = match.span()
        word = match.group()
        if word.isascii() or not any(map(is_ideograph, word)):
            found.append((start, end))
            continue
        begin = start
        for place in range(start, end):
            if is_ideograph(text[place]):
                if begin < place:
                    found.append((begin, place))
                found.append((place, place + 1))
                begin = place + 1
        if begin < end:
            found.append((begin, end))
    return found


def find_value(text: str, value: str) -> list[tuple[int, int]]:
    """Return where a value stands in a text; case, width and runs of blanks do not count. Places do not overlap."""
    pattern = _pattern(folded_value(value))
    return [] if pattern is None else [match.span() for match in pattern.finditer(text[:MAX_CHARS])]


@lru_cache(maxsize=1 << 14)
def _pattern(folded: str) -> re.Pattern[str] | None:
    """Return a pattern of a folded value: full-width forms of ASCII count as ASCII. None for no value."""
    if not folded:
        return None
    parts = []
    for char in folded:
        if char == " ":
            parts.append(r"\s+")
        elif "!" <= char <= "~":
            parts.append(f"[{re.escape(char)}{chr(ord(char) + 0xFEE0)}]")
        else:
            parts.append(re.escape(char))
    # A letter inside a word begins no value; an ideograph may stand right before or after it.
    before = rf"(?<!{_LETTER})" if folded[0].isalpha() and not is_ideograph(folded[0]) else ""
    before = r"(?<!\d)" if folded[0].isdigit() else before
    after = rf"(?!{_LETTER})" if folded[-1].isalpha() and not is_ideograph(folded[-1]) else ""
    after = r"(?!\d)" if folded[-1].isdigit() else after
    return re.compile(before + "".join(parts) + after, re.IGNORECASE)


def mark(text: str, fields: Mapping[str, Sequence[str]]) -> tuple[list[Span], int]:
    """Return where the values of a row stand in its text, longest first where they overlap; and how many stand nowhere.

    Every place of a value is marked: a name that stands twice is a name both times.
    """
    places: list[Span] = []
    absent = 0
    for name, values in fields.items():
        for value in values:
            found = find_value(text, value)
            absent += not found
            places += [Span(name, start, end) for start, end in found]
    return sorted(_apart(places), key=lambda span: span.start), absent


def _apart(spans: Iterable[Span]) -> list[Span]:
    """Return spans without those that overlap a better one: surer first, then longer, then earlier."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (-s.score, s.start - s.end, s.start, s.field)):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return kept


def answer_of(text: str, spans: Iterable[Span], most: Mapping[str, int], by: str) -> Prediction:
    """Return the prediction of marked places: of each field the surest values, as many as training rows have at most.

    Its score is that of the least sure value; 1.0 where nothing was found.
    """
    best: dict[str, dict[str, Span]] = {}
    for span in sorted(_apart(spans), key=lambda s: (-s.score, s.start)):
        known = best.setdefault(span.field, {})
        key = folded_value(text[span.start : span.end])
        if key and (key in known or len(known) < most.get(span.field, 0)):
            known.setdefault(key, span)
    kept = sorted((span for known in best.values() for span in known.values()), key=lambda s: s.start)
    values: dict[str, list[str]] = {}
    for span in kept:
        values.setdefault(span.field, []).append(text[span.start : span.end])
    places = [
        {
            "field": span.field, "value": text[span.start : span.end], "start": span.start, "end": span.end,
            "score": round(span.score, 4),
        }
        for span in kept
    ]  # fmt: skip
    score = min((span.score for span in kept), default=1.0)
    return Prediction(fields_text(values), score, answered_by=by, extra={"places": places})


def most_values(schema: Schema) -> dict[str, int]:
    """Return field -> the most values a training row has of it, as the schema of an extraction says."""
    return {field.name: int(field.form.split(" of ")[0]) for field in schema.outputs[1:]}


def most_in_all(schema: Schema) -> int:
    """Return the most values that a training row has of all fields together; 1 before rows are known."""
    return max((int(field.form.split(" of ")[1]) for field in schema.outputs[1:]), default=1)
