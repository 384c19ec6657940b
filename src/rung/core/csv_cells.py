"""Cells of CSV files that people open in a spreadsheet."""

from __future__ import annotations

import re

# The last four are the wide forms, which spreadsheets take for the others in some languages.
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Not a formula; nothing else may follow, since "-1+cmd" is one.
_NUMBER = re.compile(r"[+-](?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


def escape_formula(value: object) -> str:
    """Return a value as text, with a quote before text that a spreadsheet would run as a formula.

    Numbers stay as they are. "" for None.
    """
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_PREFIXES) and not _NUMBER.fullmatch(text) else text


def unescape_formula(text: str) -> str:
    """Return the text that `escape_formula` was given."""
    return text[1:] if text.startswith("'") and escape_formula(text[1:]) == text else text
