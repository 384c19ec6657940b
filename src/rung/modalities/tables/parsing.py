"""Parse table cells as people write them: numbers with currencies, percent signs and units, and dates.

The same functions parse cells when a product is built and when a served model is asked, so a certificate
holds for what happens in production.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

# Missing-value markers. "None" and "unknown" may be values: they are missing only in columns of numbers and
# dates.
MISSING = frozenset(
    {"", "na", "n/a", "nan", "null", "?", "<na>", "#n/a", "#na", "nat", "(null)", "缺失", "缺省"}
)
_MISSING_NUMBERS = MISSING | {
    "none", "nil", "-", "--", "—", ".", "unknown", "missing", "not available", "未知", "无", "暂无", "不详",
    "inf", "-inf", "+inf", "infinity", "-infinity", "+infinity", "∞",
}  # fmt: skip
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
_SLASHED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})(?:[ T]+(\d{1,2}:\d{2}(?::\d{2})?))?$")
_COMPACT = re.compile(r"((?:19|20)\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$")
_ISO = re.compile(r"\d{4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}")
_MONTH_NAME_FORMATS = (
    "%d %b %Y",
    "%d %B %Y",
    "%b %d %Y",
    "%B %d %Y",
    "%d %b %y",
    "%b %d %Y %H:%M",
    "%d %b %Y %H:%M",
)


def is_missing(value: Any, kind: str = "category") -> bool:
    """Return whether a cell is missing in a column of that kind; infinite numbers are missing as well."""
    if value is None:
        return True
    if isinstance(value, float):
        return not math.isfinite(value)
    if not isinstance(value, str):
        return False
    if len(value) > 20:
        return not value.strip()
    text = " ".join(value.split()).casefold()
    return text in (_MISSING_NUMBERS if kind in {"number", "time"} else MISSING)


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


def parse_date(value: Any, form: str = "") -> str | None:
    """Return a cell as an ISO date, with the time of day if given; None when it is not a date.

    form: "dmy" or "mdy", the day and month order of this column for dates such as 03/04/2024.
    """
    if isinstance(value, str):
        return _parse_date_text(value.strip(), form)
    if isinstance(value, int) and not isinstance(value, bool):
        return _parse_date_text(str(value), form)
    return None


@lru_cache(maxsize=1 << 16)
def _parse_date_text(text: str, form: str) -> str | None:
    if not text or len(text) > 40 or not any(char.isdigit() for char in text):
        return None
    compact = _COMPACT.match(text)
    slashed = _SLASHED.match(text)
    try:
        if compact:
            return _iso(datetime(int(compact[1]), int(compact[2]), int(compact[3])))
        if slashed:
            first, second, year = int(slashed[1]), int(slashed[2]), int(slashed[3])
            month, day = (first, second) if form == "mdy" else (second, first)
            year += 0 if year > 99 else 2000 if year < 70 else 1900
            clock = f"T{slashed[4].zfill(5)}" if slashed[4] else ""
            return _iso(datetime.fromisoformat(f"{year:04d}-{month:02d}-{day:02d}{clock}"))
        if _ISO.match(text):
            return _iso(datetime.fromisoformat(_plain_iso(text)))
    except ValueError:
        return None
    if text[0].isalpha() or (text[0].isdigit() and any(char.isalpha() for char in text)):
        words = " ".join(text.replace(",", " ").replace("-", " ").split())
        for pattern in _MONTH_NAME_FORMATS:
            try:
                return _iso(datetime.strptime(words, pattern))
            except ValueError:
                continue
    return None


def _plain_iso(text: str) -> str:
    text = re.sub(r"\s*([年月/.])\s*", "-", text[:12]) + text[12:] if text[:12].count(":") == 0 else text
    text = text.replace("日", " ").strip()
    day, _, clock = text.replace("T", " ").partition(" ")
    parts = day.split("-")
    day = "-".join([parts[0], *(part.zfill(2) for part in parts[1:])])
    return f"{day}T{clock.strip()}" if clock.strip() else day


def _iso(when: datetime) -> str:
    if when.tzinfo:
        when = when.astimezone(UTC).replace(tzinfo=None)
    if (when.hour, when.minute, when.second) == (0, 0, 0):
        return when.date().isoformat()
    return when.replace(microsecond=0).isoformat()


def day_month_order(texts: Any) -> str:
    """Return "dmy" or "mdy" for dates such as 31/01/2024: the order that no date contradicts, else the more
    common one.
    """
    firsts = seconds = 0
    separators = ""
    for text in texts:
        match = _SLASHED.match(str(text).strip())
        if match:
            firsts += int(match[1]) > 12
            seconds += int(match[2]) > 12
            separators += str(text).strip()[len(match[1])]
    if firsts == seconds:
        return "mdy" if separators.count("/") > len(separators) / 2 else "dmy"
    return "dmy" if firsts > seconds else "mdy"
