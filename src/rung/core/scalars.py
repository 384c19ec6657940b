"""The canonical form of a scalar: one text for equal values of any type, library or file format.

Inputs, targets, groups, requests, feedback and drift go by these functions: `True`, "TRUE" and numpy's True are
"true"; 3, 3.0, "3.0" and Decimal("3") are "3"; midnight of a day is that day; NaN, NaT and pandas' NA are missing.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

# Missing-value markers. "None" and "unknown" may be values: they are missing only in columns of numbers and dates.
MISSING = frozenset(
    {"", "na", "n/a", "nan", "null", "?", "<na>", "#n/a", "#na", "nat", "(null)", "缺失", "缺省"}
)
_MISSING_QUANTITIES = MISSING | {
    "none", "nil", "-", "--", "—", ".", "unknown", "missing", "not available", "未知", "无", "暂无", "不详",
    "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity", "∞",
}  # fmt: skip
TRUE, FALSE = "true", "false"
# 0000-00-00, 00/00/0000 00:00:00: how databases write that there is no date.
_ZERO_DATE = re.compile(r"0{1,4}[-/.]0{1,2}[-/.]0{1,4}(?:[ t]0{1,2}(?::0{1,2}){1,2}(?:\.0+)?z?)?")
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00(?::00(?:\.0+)?)?$")
_PLAIN_TYPES = frozenset({str, int, float, bool, type(None)})
# A float whose text could as well be a number with a thousand mark: 2.125 where the comma is the decimal mark.
_AMBIGUOUS_FLOAT = re.compile(r"-?\d{1,3}\.\d{3}")
_MARKED_FLOAT = re.compile(r"(-?\d{1,3}\.\d{3})e0")
# Whole floats up to here are exact or nearly so, and are written without an exponent.
_MOST_WHOLE = 1e21


def is_null(value: Any) -> bool:
    """Return whether a value is None, NaN, or numpy's or pandas' NaT or NA."""
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return value is None or (kind is float and value != value)
    if kind.__name__ in {"NAType", "NaTType"}:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return False


def to_plain(value: Any) -> Any:
    """Return a value as JSON knows it: numpy's scalars as Python's, dates in ISO 8601, exact numbers as text.

    NaN, infinities, NaT and NA become None; bytes are decoded. Raises ValueError, "reason: detail", when it cannot be
    kept.
    """
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind in _PLAIN_TYPES:
        return value
    if is_null(value):
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if isinstance(value, UUID | timedelta):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            raise ValueError("undecodable: bytes that are not UTF-8 text") from None
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    if isinstance(value, str | bool | int | float):  # Subclasses, such as enums and numpy's str_ and float64.
        base = next(base for base in (str, bool, int, float) if isinstance(value, base))
        return to_plain(base(value))
    if kind.__module__ == "numpy":
        # Nanoseconds come as a bare int from `item`: microseconds come as a datetime.
        return to_plain((value.astype("datetime64[us]") if value.dtype.kind == "M" else value).item())
    raise ValueError(f"unreadable: a cell of the kind '{kind.__name__}'")


def plain_list(cells: Sequence[Any]) -> list[Any]:
    """Return a column as a list; an array of datetime64 as datetimes."""
    array: Any = cells
    if not hasattr(array, "tolist"):
        return list(cells)
    if getattr(getattr(array, "dtype", None), "kind", "") == "M" and hasattr(array, "astype"):
        array = array.astype("datetime64[us]")
    found: list[Any] = array.tolist()
    return found


def scalar_text(value: Any) -> str:
    """Return the canonical text of a value on one line; "" for a missing one.

    Words keep their case, true and false do not. NFKC. A list or a mapping is its JSON-like text.
    """
    if type(value) is str:
        return _text_of(value)
    if value is None:
        return ""
    if type(value) is bool:
        return TRUE if value else FALSE
    if isinstance(value, float):
        return _float_text(value)
    if type(value) is int:
        return str(value)
    try:
        plain = to_plain(value)
    except ValueError:
        plain = str(value)
    return _text_of(str(plain)) if isinstance(plain, list | dict) else scalar_text(plain)


def cell_text(value: Any) -> str:
    """Return a value of a typed source as the text of a table's cell: what `scalar_text` and number parsers read back.

    A float that reads like a number with a thousand mark is marked as a float: 2.125 is "2.125e0".
    """
    text = scalar_text(value)
    if isinstance(value, float) and _AMBIGUOUS_FLOAT.fullmatch(text):
        return f"{text}e0"
    return text


def label_text(value: Any) -> str:
    """Return the canonical text of a label: inner blanks and width stay as they are written."""
    if type(value) is not str:
        return scalar_text(value)
    text = value.strip()
    return _canonical_word(text)


def is_missing(value: Any, kind: str = "category") -> bool:
    """Return whether a cell is missing in a column of that kind; infinite numbers are missing as well."""
    if type(value) is not str:
        if isinstance(value, float):
            return not math.isfinite(value)
        return is_null(value)
    if len(value) > 30:
        return not value.strip()
    text = " ".join(value.split()).casefold()
    if kind == "time" and text[:1] == "0" and _ZERO_DATE.fullmatch(text):
        return True
    return text in (_MISSING_QUANTITIES if kind in {"number", "time"} else MISSING)


def as_boolean(value: Any) -> bool | None:
    """Return true or false for a value whose canonical text says so, 1 and 0 included; None for any other."""
    return {TRUE: True, FALSE: False, "1": True, "0": False}.get(scalar_text(value))


def same_label(value: Any, labels: Sequence[str]) -> str:
    """Return the one of the labels that a value stands for; its canonical text where none does.

    The spelling of a label is kept: labels of older versions may be "True" or "1.0".
    """
    text = value.strip() if type(value) is str else label_text(value)
    if text in labels:
        return text
    text = label_text(text)
    for label in labels:
        if label_text(label) == text:
            return label
    if labels and {label_text(label) for label in labels} <= {TRUE, FALSE}:
        known = as_boolean(text)
        if known is not None:
            return same_label(known, labels) if label_text(known) != text else text
    return text


@lru_cache(maxsize=1 << 16)
def _text_of(text: str) -> str:
    text = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _canonical_word(" ".join(text.split()))


def _canonical_word(text: str) -> str:
    """Return "3" for "3.0", "true" for "TRUE", the day for its midnight; anything else as it is."""
    if len(text) in (4, 5) and text.casefold() in (TRUE, FALSE):
        return text.casefold()
    if not text[:1].isdigit() and text[:1] != "-":
        return text
    whole, dot, zeros = text.partition(".")
    if dot and not zeros.strip("0") and whole.lstrip("-").isdigit():
        return whole
    if len(text) >= 16 and (midnight := _MIDNIGHT.match(text)):
        return midnight[1]
    if text.endswith("e0") and (marked := _MARKED_FLOAT.fullmatch(text)):
        return marked[1]
    return text


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < _MOST_WHOLE else repr(float(value))


def _decimal_text(value: Decimal) -> str | None:
    if not value.is_finite():
        return None
    return format(value, "f") if abs(value.adjusted()) < 400 else str(value)
