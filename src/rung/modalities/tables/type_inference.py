"""Infer the type of a column from cells of training rows: number, date, category or free text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from rung.core.scalars import FALSE, TRUE, is_missing, scalar_text
from rung.core.types import CellFormat, Field
from rung.modalities.tables.cells import category_of
from rung.modalities.tables.dates import day_month_order, parse_date
from rung.modalities.tables.numbers import decide_format, parse_number

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
# More spellings than true, True, TRUE, 1, 1.0 and the like have is no column of booleans.
_MOST_SPELLINGS = 20
_ID_NAME = re.compile(
    r"(?:^|[_\W])(?:id|uuid|guid|uid|rownames?|row_?number|index)$|[a-z]Id$|编号$|序号$|流水号$", re.I
)


def infer_field(name: str, cells: Mapping[str, int]) -> Field:
    """Return the field of an input column. cells: each distinct text of the column and its count."""
    filled = Counter({text: n for text, n in cells.items() if not is_missing(text, "time")})
    some = _sample_cells(filled)
    total = sum(some.values())
    if not total:
        return Field(name, "category", "input", _categories(cells, CellFormat()), format=CellFormat())
    boolean = _boolean(some)
    if boolean is not None:
        return Field(name, "category", "input", _categories(cells, boolean), format=boolean)
    compact = sum(n for text, n in some.items() if len(text) == 8 and parse_date(text) is not None)
    if compact >= _MIN_SHARE * total and len(some) > 1:
        return Field(name, "time", "input", format=CellFormat())
    return _number_field(name, some, filled, total) or _other_field(name, some, filled, cells)


def _number_field(name: str, some: Mapping[str, int], filled: Mapping[str, int], total: int) -> Field | None:
    """Return the field of a column of numbers; None when it holds none, or codes that no float can tell apart."""
    unit, form = decide_format(some)
    read = {text for text in some if parse_number(text, unit, form) is not None}
    words = _repeated_words({text: filled[text] for text in some if text not in read})
    numbers = sum(some[text] for text in read)
    repeated = sum(n for text, n in some.items() if text not in read and scalar_text(text) in words)
    if numbers < _MIN_NUMBER_SHARE * total or numbers + repeated < _MIN_SHARE * total:
        return None
    if sum(n for text, n in some.items() if _is_long(text)) > 0.01 * total:
        return None
    return Field(name, "number", "input", words, unit, form)


def _other_field(
    name: str, some: Mapping[str, int], filled: Mapping[str, int], cells: Mapping[str, int]
) -> Field:
    """Return the field of a column of dates, of texts or of categories."""
    total = sum(some.values())
    form = day_month_order(some)
    read = {text for text in some if parse_date(text, form) is not None}
    words = _repeated_words({text: filled[text] for text in some if text not in read})
    dates = sum(some[text] for text in read)
    repeated = sum(n for text, n in some.items() if text not in read and scalar_text(text) in words)
    if dates >= _MIN_NUMBER_SHARE * total and dates + repeated >= _MIN_SHARE * total:
        return Field(name, "time", "input", words, form, CellFormat())
    kind = "text" if _is_text(some, total) else "category"
    values = _categories(cells, CellFormat()) if kind == "category" else ()
    return Field(name, kind, "input", values, format=CellFormat())


def _boolean(cells: Mapping[str, int]) -> CellFormat | None:
    """Return the format of a column of true and false, which 1 and 0 may stand for; None for any other column."""
    words = {scalar_text(text) for text in cells} if len(cells) <= _MOST_SPELLINGS else set()
    return CellFormat(boolean=True) if words <= {TRUE, FALSE, "1", "0"} and words & {TRUE, FALSE} else None


def _is_long(text: str) -> bool:
    """Return whether a cell is an integer that a float cannot hold exactly: a code, not a quantity."""
    digits = text.strip().lstrip("-")
    return len(digits) >= 16 and digits.isdigit() and abs(int(digits[:400])) > 1 << 53


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


def _repeated_words(cells: Mapping[str, int]) -> tuple[str, ...]:
    """Return the words that repeat among cells that are no numbers or dates."""
    found: Counter[str] = Counter()
    for text, n in cells.items():
        found[scalar_text(text)] += n
    return tuple(sorted(word for word, n in found.most_common(_MAX_WORDS) if n >= _MIN_WORD_COUNT))


def _categories(cells: Mapping[str, int], form: CellFormat) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for text, n in cells.items():
        word = category_of(Field("", "category", "input", format=form), text)
        if word is not None:
            counts[word] += n
    return tuple(sorted(counts)) if len(counts) <= _MAX_CATEGORIES else ()


def _is_text(cells: Mapping[str, int], total: int) -> bool:
    """Return whether cells are prose: several words, nearly all distinct. An ideograph counts as half a word."""
    words = sum(n * _word_count(text) for text, n in cells.items()) / total
    return words >= 3.0 and len(cells) > 0.5 * total and len(cells) >= 20


def _word_count(text: str) -> float:
    ideographs = sum("\u3040" <= char <= "\u9fff" for char in text)
    return len(text.split()) + ideographs / 2
