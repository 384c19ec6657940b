"""Parse numbers and categories cell by cell, as version 0.1 did.

Bundles whose manifest says no format of a column answer with these functions. The identity of rows goes by them as well:
the sides of earlier builds depend on it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache
from typing import Any

_SIGN = r"(?P<minus>[-−–+]?)\s*"
_CURRENCY = r"(?:rmb|cny|usd|eur|gbp|jpy|hkd|us\$|[$€£¥₹₩元])?\s*"
_DIGITS = r"(?P<digits>\d[\d,.'_ ]*|\.\d+)(?P<power>e[+-]?\d+)?"
_MULTIPLIER = r"\s*(?P<times>%|‰|万亿|千万|百万|万|亿|千|k(?![a-z])|mn?(?![a-z])|bn?(?![a-z]))?"
_NUMBER = re.compile(
    rf"{_CURRENCY}{_SIGN}{_CURRENCY}{_DIGITS}{_MULTIPLIER}\s*(?P<rest>.*)",
    re.DOTALL,
)
_FACTORS = {
    "%": 0.01, "‰": 0.001, "千": 1e3, "万": 1e4, "百万": 1e6, "千万": 1e7, "亿": 1e8, "万亿": 1e12,
    "k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9,
}  # fmt: skip
_CURRENCY_SUFFIX = re.compile(r"(?:rmb|cny|usd|eur|gbp|jpy|hkd|[$€£¥₹₩元])\s*$")
_THOUSANDS = re.compile(r"\d{1,3}(?:[,'_ ]\d{3})+(?:\.\d*)?")
_EUROPEAN = re.compile(r"\d{1,3}(?:\.\d{3})+,\d+|\d+,\d{1,2}|\d{4,},\d+|0,\d+")


def cell_text(value: Any) -> str:
    """Return a cell as one line of text, independent of where it came from: 3.0 becomes "3"."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, str):
        value = value if value.isascii() else unicodedata.normalize("NFKC", value)
    return " ".join(str(value).split())


def category_text(value: Any) -> str:
    """Return a cell as a category: `cell_text`, with whole numbers normalised ("3" and "3.0" are the same)."""
    return _category_text(value) if type(value) is str else _normalize_whole_number(cell_text(value))


@lru_cache(maxsize=1 << 16)
def _category_text(text: str) -> str:
    return _normalize_whole_number(cell_text(text))


def _normalize_whole_number(text: str) -> str:
    whole, dot, zeros = text.partition(".")
    if dot and not zeros.strip("0") and whole.lstrip("-").isdigit():
        return whole
    return text


def parse_number(value: Any, unit: str = "") -> float | None:
    """Return a cell as a number; None when it is not one. unit: what may follow the number, such as kg.

    "¥1,200" is 1200, "3.5%" is 0.035, "1.2万" is 12000, "(1,200)" is -1200, "1.234,56" is 1234.56.
    """
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        try:
            return float(value) if math.isfinite(value) else None
        except OverflowError:
            return None
    if not isinstance(value, str):
        return None
    try:
        plain = float(value)
    except ValueError:
        found, rest = _leading_number(value)
        return found if not rest or rest == unit else None
    return plain if "_" not in value and math.isfinite(plain) else None


def parse_unit(text: str) -> str | None:
    """Return the text after the number in a cell, "" for nothing; None when the cell holds no number."""
    found, rest = _leading_number(text)
    return None if found is None else rest


def _leading_number(text: str) -> tuple[float | None, str]:
    """Return the number at the start of a text, and the text after it."""
    text = unicodedata.normalize("NFKC", text).strip().casefold()
    negative = text.startswith("(") and text.endswith(")")
    match = _NUMBER.match(text[1:-1].strip() if negative else text)
    if match is None or len(text) > 60:
        return None, ""
    digits = match["digits"].strip()
    trailing = len(match["digits"]) - len(match["digits"].rstrip(",.'_ "))
    plain = digits.rstrip(",'_ ")
    if _THOUSANDS.fullmatch(plain):
        plain = re.sub(r"[,'_ ]", "", plain)
    elif _EUROPEAN.fullmatch(plain):
        plain = plain.replace(".", "").replace(",", ".")
    elif not re.fullmatch(r"\d+\.?\d*|\.\d+", plain) or (trailing and digits[-1:] in {",", "'", "_"}):
        return None, ""
    found = float(plain + (match["power"] or "")) * _FACTORS.get(match["times"] or "", 1.0)
    sign = -1.0 if negative or match["minus"] in {"-", "−", "–"} else 1.0
    rest = _CURRENCY_SUFFIX.sub("", match["rest"]).strip()
    return (sign * found, rest) if math.isfinite(found) else (None, "")
