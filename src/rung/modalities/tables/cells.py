"""The value of one cell of a table by the field of its column, the same in training files and in requests."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rung.core.scalars import as_boolean, is_missing, scalar_text
from rung.core.types import CellFormat, Field
from rung.modalities.tables import parsing_v1
from rung.modalities.tables.dates import parse_date
from rung.modalities.tables.numbers import boolean_number, parse_number


def number_of(field: Field, value: Any) -> float | None:
    """Return the number of a cell, None when it is missing or a word that the field knows. Raises ValueError."""
    if is_missing(value, "number"):
        return None
    if field.format is None:
        found = parsing_v1.parse_number(value, field.form)
        known = found is not None or parsing_v1.category_text(value) in field.values
    else:
        found = parse_number(value, field.form, field.format)
        text = scalar_text(value) if found is None else ""
        known = found is not None or text in field.values
        if not known:
            found = boolean_number(value, text)
            known = found is not None
    if not known:
        raise ValueError(f"bad_value: '{str(value)[:60]}' is not a number")
    return found


def time_of(field: Field, value: Any) -> str | None:
    """Return the ISO date of a cell, None when it is missing or a word that the field knows. Raises ValueError."""
    if is_missing(value, "time"):
        return None
    found = parse_date(value, field.form)
    if found is None and scalar_text(value) not in field.values:
        raise ValueError(f"bad_value: '{str(value)[:60]}' is not a date")
    return found


def category_of(field: Field, value: Any) -> str | None:
    """Return the category of a cell; None for a missing-value marker, in any width."""
    if type(value) is str:
        return _category(value, field.format)
    if is_missing(value):
        return None
    return _category_of(value, field.format)


@lru_cache(maxsize=1 << 16)
def _category(text: str, form: CellFormat | None) -> str | None:
    return None if is_missing(text) else _category_of(text, form)


def _category_of(value: Any, form: CellFormat | None) -> str | None:
    word = parsing_v1.category_text(value) if form is None else scalar_text(value)
    if is_missing(word):
        return None
    if form is not None and form.boolean and (known := as_boolean(word)) is not None:
        return scalar_text(known)
    return word
