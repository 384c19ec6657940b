"""Cells of CSV files that people open in a spreadsheet."""

from __future__ import annotations

_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def escape_formula(value: object) -> str:
    """Return a value as text, with a quote before text that a spreadsheet would run as a formula.

    "" for None.
    """
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA_PREFIXES) else text
