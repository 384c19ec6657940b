"""Find out what a column holds from cells of training rows: numbers, dates, categories or free text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from rung.core.types import Field, Kind
from rung.modalities.tables.parsing import category_text, date, day_month_order, is_missing, number, unit_of

# A column is one of numbers or dates when this share of its filled cells is. What is left over and repeats may
# stand for something ("retired", "over 90"); what does not is a cell that cannot be read.
_MOSTLY = 0.9
_NUMBERS = 0.75
_WORD_REPEATS = 5
_MOST_WORDS = 20
# Columns of up to so many categories list them in the schema, for whoever fills in a request.
_MOST_CATEGORIES = 50
# Distinct cells looked at, half of them the commonest: reading each costs microseconds.
_LOOKED_AT = 20_000
_ID_NAME = re.compile(
    r"(?:^|[_\W])(?:id|uuid|guid|uid|rownames?|row_?number|index)$|[a-z]Id$|编号$|序号$|流水号$", re.I
)


def described_field(name: str, cells: Mapping[str, int]) -> Field:
    """Return the field of an input column. cells: each text that stands in it and how often."""
    filled = Counter({text: n for text, n in cells.items() if not is_missing(text, "number")})
    some = _looked_at(filled)
    total = sum(some.values())
    if not total:
        return Field(name, "category", "input", _categories(cells))
    compact = sum(n for text, n in some.items() if len(text) == 8 and date(text) is not None)
    if compact >= _MOSTLY * total and len(some) > 1:
        return Field(name, "time", "input")
    unit = _unit(some, total)
    numbers = sum(n for text, n in some.items() if number(text, unit) is not None)
    words = _words({text: filled[text] for text in some}, unit)
    spoken = sum(n for text, n in some.items() if category_text(text) in words)
    if numbers >= _NUMBERS * total and numbers + spoken >= _MOSTLY * total:
        return Field(name, "number", "input", words, unit)
    form = day_month_order(some)
    if sum(n for text, n in some.items() if date(text, form) is not None) >= _MOSTLY * total:
        return Field(name, "time", "input", form=form)
    kind: Kind = "text" if _is_text(some, total) else "category"
    return Field(name, kind, "input", _categories(cells) if kind == "category" else ())


def _looked_at(cells: Mapping[str, int]) -> dict[str, int]:
    """Return the commonest cells and some of all others, each kind in its share of the rows.

    The commonest alone would hide numbers that are all different behind one word that is not.
    """
    ordered = sorted(cells.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) <= _LOOKED_AT:
        return dict(ordered)
    often, rest = ordered[: _LOOKED_AT // 2], ordered[_LOOKED_AT // 2 :]
    some = rest[:: -(-len(rest) // (_LOOKED_AT // 2))]
    share = len(some) / len(rest)
    return {text: max(round(n * share), 1) for text, n in often} | dict(some)


def is_id(field: Field, distinct: int, filled: int, whole: bool) -> bool:
    """Return whether a column only names its rows: every filled cell differs, and the name or the kind says so.

    whole: its numbers are whole. A measurement may differ in every row; only a name makes a whole number an id.
    """
    if filled < 20 or distinct < filled * 0.98:
        return False
    if field.kind == "number":
        return whole and _ID_NAME.search(field.name) is not None
    return field.kind == "category"


def _unit(cells: Mapping[str, int], total: int) -> str:
    """Return the one unit that nearly all cells carry behind their number; "" when there is none."""
    units: Counter[str] = Counter()
    for text, n in cells.items():
        unit = unit_of(text)
        if unit is not None:
            units[unit] += n
    ours = [(n, unit) for unit, n in units.items() if unit]
    n, unit = max(ours, default=(0, ""))
    # A unit is a word, not the rest of a code such as 12-B7.
    plain = bool(unit) and len(unit) <= 12 and not any(char.isdigit() for char in unit) and unit[0].isalpha()
    return unit if plain and n + units[""] >= _MOSTLY * total and n >= 0.5 * total else ""


def _words(cells: Mapping[str, int], unit: str) -> tuple[str, ...]:
    """Return what stands in a column of numbers again and again without being one."""
    found: Counter[str] = Counter()
    for text, n in cells.items():
        if number(text, unit) is None:
            found[category_text(text)] += n
    return tuple(sorted(word for word, n in found.most_common(_MOST_WORDS) if n >= _WORD_REPEATS))


def _categories(cells: Mapping[str, int]) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for text, n in cells.items():
        if not is_missing(text):
            counts[category_text(text)] += n
    return tuple(sorted(counts)) if len(counts) <= _MOST_CATEGORIES else ()


def _is_text(cells: Mapping[str, int], total: int) -> bool:
    """Return whether cells are prose: several words, and hardly two alike. An ideograph counts as half a word."""
    words = sum(n * _word_count(text) for text, n in cells.items()) / total
    return words >= 3.0 and len(cells) > 0.5 * total and len(cells) >= 20


def _word_count(text: str) -> float:
    ideographs = sum("\u3040" <= char <= "\u9fff" for char in text)
    return len(text.split()) + ideographs / 2
