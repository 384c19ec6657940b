"""Infer the type of a column from cells of training rows: number, date, category or free text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from rung.core.types import Field
from rung.modalities.tables.parsing import (
    category_text,
    day_month_order,
    is_missing,
    parse_date,
    parse_number,
    parse_unit,
)

# A column is numeric or a date when at least this share of its filled cells is. Values left over that repeat
# may have a meaning ("retired", "over 90"); others count as unreadable cells.
_MIN_SHARE = 0.9
_MIN_NUMBER_SHARE = 0.75
_MIN_WORD_COUNT = 5
_MAX_WORDS = 20
# Columns with at most so many categories list them in the schema, for whoever fills in a request.
_MAX_CATEGORIES = 50
# Distinct cells examined, half of them the most frequent: parsing each costs microseconds.
_MAX_SAMPLED = 20_000
_ID_NAME = re.compile(
    r"(?:^|[_\W])(?:id|uuid|guid|uid|rownames?|row_?number|index)$|[a-z]Id$|编号$|序号$|流水号$", re.I
)


def infer_field(name: str, cells: Mapping[str, int]) -> Field:
    """Return the field of an input column. cells: each distinct text of the column and its count."""
    filled = Counter({text: n for text, n in cells.items() if not is_missing(text, "number")})
    some = _sample_cells(filled)
    total = sum(some.values())
    if not total:
        return Field(name, "category", "input", _categories(cells))
    compact = sum(n for text, n in some.items() if len(text) == 8 and parse_date(text) is not None)
    if compact >= _MIN_SHARE * total and len(some) > 1:
        return Field(name, "time", "input")
    unit = _common_unit(some, total)
    numbers = sum(n for text, n in some.items() if parse_number(text, unit) is not None)
    words = _repeated_words({text: filled[text] for text in some}, unit)
    repeated = sum(n for text, n in some.items() if category_text(text) in words)
    if numbers >= _MIN_NUMBER_SHARE * total and numbers + repeated >= _MIN_SHARE * total:
        return Field(name, "number", "input", words, unit)
    form = day_month_order(some)
    if sum(n for text, n in some.items() if parse_date(text, form) is not None) >= _MIN_SHARE * total:
        return Field(name, "time", "input", form=form)
    kind = "text" if _is_text(some, total) else "category"
    return Field(name, kind, "input", _categories(cells) if kind == "category" else ())


def _sample_cells(cells: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent cells and a sample of the others, counts scaled to their share of the rows.

    The most frequent alone would hide distinct numbers behind one repeated word.
    """
    ordered = sorted(cells.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) <= _MAX_SAMPLED:
        return dict(ordered)
    often, rest = ordered[: _MAX_SAMPLED // 2], ordered[_MAX_SAMPLED // 2 :]
    some = rest[:: -(-len(rest) // (_MAX_SAMPLED // 2))]
    share = len(some) / len(rest)
    return {text: max(round(n * share), 1) for text, n in often} | dict(some)


def is_identifier(field: Field, distinct: int, filled: int, whole: bool) -> bool:
    """Return whether a column only identifies rows: every filled cell differs, and its name or type suggests
    an id.

    whole: its numbers are integers. A measurement may differ in every row; only the name makes an integer
    column an id.
    """
    if filled < 20 or distinct < filled * 0.98:
        return False
    if field.kind == "number":
        return whole and _ID_NAME.search(field.name) is not None
    return field.kind == "category"


def _common_unit(cells: Mapping[str, int], total: int) -> str:
    """Return the one unit that nearly all cells have after their number; "" when there is none."""
    units: Counter[str] = Counter()
    for text, n in cells.items():
        unit = parse_unit(text)
        if unit is not None:
            units[unit] += n
    ours = [(n, unit) for unit, n in units.items() if unit]
    n, unit = max(ours, default=(0, ""))
    # A unit is a word, not the rest of a code such as 12-B7.
    plain = bool(unit) and len(unit) <= 12 and not any(char.isdigit() for char in unit) and unit[0].isalpha()
    return unit if plain and n + units[""] >= _MIN_SHARE * total and n >= 0.5 * total else ""


def _repeated_words(cells: Mapping[str, int], unit: str) -> tuple[str, ...]:
    """Return values that repeat in a numeric column without being numbers."""
    found: Counter[str] = Counter()
    for text, n in cells.items():
        if parse_number(text, unit) is None:
            found[category_text(text)] += n
    return tuple(sorted(word for word, n in found.most_common(_MAX_WORDS) if n >= _MIN_WORD_COUNT))


def _categories(cells: Mapping[str, int]) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for text, n in cells.items():
        if not is_missing(text):
            counts[category_text(text)] += n
    return tuple(sorted(counts)) if len(counts) <= _MAX_CATEGORIES else ()


def _is_text(cells: Mapping[str, int], total: int) -> bool:
    """Return whether cells are prose: several words, nearly all distinct. An ideograph counts as half a word."""
    words = sum(n * _word_count(text) for text, n in cells.items()) / total
    return words >= 3.0 and len(cells) > 0.5 * total and len(cells) >= 20


def _word_count(text: str) -> float:
    ideographs = sum("\u3040" <= char <= "\u9fff" for char in text)
    return len(text.split()) + ideographs / 2
