"""CSV files that people open in a spreadsheet, fill in and give back."""

from __future__ import annotations

import re

# The last four are the wide forms, which spreadsheets take for the others in some languages.
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Not a formula; nothing else may follow, since "-1+cmd" is one.
_NUMBER = re.compile(r"[+-](?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
# A spreadsheet turns 1234567890123456 and 12e4567890123456 into numbers, and 12 digits of them are lost.
_HASH_PREFIX = "h:"


def escape_formula(value: object) -> str:
    """Return a value as text, with a quote before text that a spreadsheet would run as a formula.

    Numbers stay as they are. "" for None.
    """
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA_PREFIXES) and not _NUMBER.fullmatch(text) else text


def unescape_formula(text: str) -> str:
    """Return the text that `escape_formula` was given."""
    return text[1:] if text.startswith("'") and escape_formula(text[1:]) == text else text


def hash_cell(digest: object) -> str:
    """Return the hash of a row as a cell that no spreadsheet takes for a number; "" for none."""
    return f"{_HASH_PREFIX}{digest}" if digest else ""


def hash_of_cell(cell: str) -> str:
    """Return the hash in a cell, as `hash_cell` or version 0.1 wrote it."""
    return cell.strip().lower().removeprefix(_HASH_PREFIX)


def is_number_like(cell: str) -> bool:
    """Return whether a cell is empty or may be a number that a spreadsheet made of a hash."""
    return re.fullmatch(r"[\d.,]*(?:e[+-]?\d+)?", cell) is not None


def delimiter_of(text: str) -> str:
    """Return the delimiter of a CSV file that a spreadsheet saved: the one that stands most in its header."""
    first = text.lstrip("\ufeff").split("\n", 1)[0]
    return max(",;\t", key=first.count)
