"""Parse numbers as people write them, in the format that was decided for the whole column.

A cell alone often does not tell: "12,125" is twelve thousand or twelve and an eighth, "7.9 m" metres or millions.
`decide_format` looks at all cells of a column; what it finds stands in the schema and holds for every later cell.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.core.scalars import TRUE, to_plain
from rung.core.types import CellFormat
from rung.modalities.tables.dates import parse_time_of_day
from rung.modalities.tables.units import CURRENCIES, common_unit, conversion, currency_of

_CURRENCY = rf"(?:{CURRENCIES})"
_NUMBER = re.compile(
    rf"(?P<sign>[-−–+]?)\s*(?P<money>{_CURRENCY})?\s*(?P<open>\(?)\s*(?P<money2>{_CURRENCY})?\s*(?P<sign2>[-−–+]?)\s*"
    r"(?P<digits>\d(?:[\d.,'’_ ]*\d)?[.,]?|\.\d+)(?P<power>e[+-]?\d{1,3}(?!\d))?\s*(?P<rest>.*)",
    re.DOTALL,
)
_MONEY_AFTER = re.compile(rf"(?P<rest>.*?)\s*(?P<money>{_CURRENCY})", re.DOTALL)
_MULTIPLIER = re.compile(
    r"(?P<times>%|‰|万亿|千万|百万|万|亿|千|"
    r"(?:thousand|tsd|millions?|mio|mrd|billions?|trillions?|mn|bn|lakhs?|crores?)(?![a-z])\.?)\s*(?P<rest>.*)",
    re.DOTALL,
)
_FACTORS = {
    "%": 0.01, "‰": 0.001, "千": 1e3, "万": 1e4, "百万": 1e6, "千万": 1e7, "亿": 1e8, "万亿": 1e12,
    "thousand": 1e3, "tsd": 1e3, "million": 1e6, "mio": 1e6, "mn": 1e6, "billion": 1e9, "mrd": 1e9, "bn": 1e9,
    "trillion": 1e12, "lakh": 1e5, "crore": 1e7,
}  # fmt: skip
# A letter that is a multiplier only after money, or where the column settles it.
LETTERS = {"k": 1e3, "m": 1e6, "b": 1e9}
_GROUPS = re.compile(r"\d{1,3}(?:S\d{3})+|\d{1,2}(?:S\d{2})+S\d{3}".replace("S", r"[.,'’_ ]"))
_MINUS = {"-", "−", "–"}
_MOST_CHARS = 60
# How often larger the plain numbers of a column must be than those with a letter, for the letter to be a multiplier.
_MULTIPLIED = 50.0
_PLAIN = CellFormat()


@dataclass(frozen=True)
class NumberParts:
    """A number taken apart. digits: with their marks. times: a multiplier. rest: what is left behind it: a unit, a letter."""

    negative: bool
    digits: str
    power: str
    times: str
    currency: str
    rest: str


def split_number(text: str) -> NumberParts | None:
    """Return the parts of a text that begins with a number, or with money; None when it does not."""
    if len(text) > _MOST_CHARS:
        return None
    match = _NUMBER.fullmatch(unicodedata.normalize("NFKC", text).strip().casefold())
    if match is None:
        return None
    rest = match["rest"].strip()
    negative = match["sign"] in _MINUS or match["sign2"] in _MINUS
    if match["open"]:
        before, closed, after = rest.partition(")")
        if not closed:
            return None
        negative, rest = True, f"{before} {after}".strip()
    times = _MULTIPLIER.fullmatch(rest)
    if times:
        rest = times["rest"]
    behind = _MONEY_AFTER.fullmatch(rest)
    if behind:
        rest = behind["rest"]
    # Accounts write the minus behind: 12.50-
    if rest[:1] in _MINUS and not rest[1:].strip():
        negative, rest = True, ""
    money = match["money"] or match["money2"] or (behind["money"] if behind else "")
    multiplier = times["times"].rstrip(".") if times else ""
    if multiplier.isascii() and len(multiplier) > 3:
        multiplier = multiplier.removesuffix("s")
    return NumberParts(
        negative, match["digits"], match["power"] or "", multiplier, currency_of(money), rest.strip()
    )


def digits_value(digits: str, decimal: str) -> float | None:
    """Return the value of digits with marks; None when the marks fit no number. decimal: the mark where either could be."""
    mark = decimal_mark(digits)
    whole, fraction = digits, ""
    if mark in {".", ","} or (mark == "?" and decimal in digits):
        mark = decimal if mark == "?" else mark
        whole, _, fraction = digits.rpartition(mark)
        if mark == "," and not fraction:
            return None
    if not whole.isdigit() and whole:
        if _GROUPS.fullmatch(whole) is None or len({char for char in whole if not char.isdigit()}) > 1:
            return None
        whole = re.sub(r"\D", "", whole)
    if not (fraction.isdigit() or not fraction):
        return None
    return float(f"{whole or '0'}.{fraction or '0'}")


def decimal_mark(digits: str) -> str:
    """Return the decimal mark that digits show by themselves: "." or ","; "?" where the mark may be either; "" without one.

    "1.234,5" and "0,750" show a comma, "1,234,567" a point without having one: its mark is "!.".
    """
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        last = "." if digits.rfind(".") > digits.rfind(",") else ","
        return last if digits.count(last) == 1 else ""
    if points + commas == 0:
        return ""
    mark = "." if points else ","
    if points + commas > 1:
        return "!," if points else "!."
    whole, _, fraction = digits.partition(mark)
    if len(fraction) == 3 and whole.isdigit() and 1 <= len(whole) <= 3 and whole[0] != "0":
        return "?"
    return mark


def parse_number(value: Any, unit: str = "", form: CellFormat = _PLAIN) -> float | None:
    """Return a cell as a finite number; None when it is not one. unit: what follows the numbers of the column, such as kg.

    By itself "¥1,200" is 1200, "3.5%" is 0.035, "1.2万" is 12000, "(1,200)" is -1200, "1.234,56" is 1234.56 and
    "$5m" is 5000000; "1,250" is 1.25 where the column's decimal mark is a comma.
    """
    if not isinstance(value, str):
        return _typed_number(value)
    if form.clock:
        found = parse_time_of_day(value)
        return found if found is not None else _float(value)
    if form.decimal == "." or "." not in value:
        found = _float(value)
        if found is not None:
            return found
    elif value.endswith("e0"):  # A float of a typed source: see `scalars.cell_text`.
        return _float(value)
    parts = split_number(value)
    return None if parts is None else _value(parts, unit, form)


def _typed_number(value: Any) -> float | None:
    try:
        plain = to_plain(value)
        found = float(plain) if isinstance(plain, bool | int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _float(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if "_" not in text and math.isfinite(found) else None


def _value(parts: NumberParts, unit: str, form: CellFormat) -> float | None:
    if parts.currency and form.currency and parts.currency != form.currency:
        return None
    units = dict(form.units)
    factor = units.get(parts.times, _FACTORS.get(parts.times, 1.0))
    rest = parts.rest
    letter = LETTERS.get(rest[:1]) if len(rest) == 1 or rest[1:2] == " " else None
    if letter and (parts.currency or rest[0] in form.suffixes):
        factor, rest = factor * letter, rest[1:].strip()
    if rest and rest != unit:
        if rest not in units:
            return None
        factor *= units[rest]
    found = digits_value(parts.digits, "." if parts.power else form.decimal)
    if found is None:
        return None
    if parts.power:
        found = float(f"{found!r}{parts.power}") if "e" not in repr(found) else math.inf
    found *= factor
    return (-found if parts.negative else found) if math.isfinite(found) else None


def decide_format(cells: Mapping[str, int]) -> tuple[str, CellFormat]:
    """Return the unit of a column of numbers ("" for none) and how they are written. cells: text -> rows."""
    total = sum(cells.values())
    clocks = sum(n for text, n in cells.items() if parse_time_of_day(text) is not None)
    if clocks and clocks >= 0.9 * total:
        return "", CellFormat(clock=True)
    found = [(parts, n) for text, n in cells.items() if (parts := split_number(text)) is not None]
    marks: Counter[str] = Counter()
    money: Counter[str] = Counter()
    units: Counter[str] = Counter()
    for parts, n in found:
        marks[decimal_mark(parts.digits).lstrip("!") if not parts.power else "."] += n
        money[parts.currency] += n
        units[parts.rest] += n
    decimal = "," if marks[","] > marks["."] else "."
    currency = max(((n, name) for name, n in money.items() if name), default=(0, ""))[1]
    suffixes = _suffixes(found, units, money[currency] * 2 >= sum(money.values()) and bool(currency), decimal)
    left = Counter({unit: n for unit, n in units.items() if unit not in suffixes})
    left[""] += sum(units[suffix] for suffix in suffixes)
    unit = common_unit(left, total)
    converted = {other: conversion(other, unit) for other in left if unit and other not in {"", unit}}
    pairs = {other: factor for other, factor in converted.items() if factor is not None}
    if _is_percent_of_hundred(found, decimal):
        pairs["%"] = 1.0
    return unit, CellFormat(
        decimal=decimal,
        suffixes="".join(sorted(suffixes)),
        units=tuple(sorted(pairs.items())),
        currency=currency,
    )


def _suffixes(
    found: list[tuple[NumberParts, int]], units: Mapping[str, int], is_money: bool, decimal: str
) -> set[str]:
    """Return which letters are multipliers in a column: after money, several letters, or where magnitudes say so."""
    letters = {unit for unit in units if unit in LETTERS}
    if not letters or any(
        unit and unit not in letters for unit in units if conversion(unit, "m") is not None
    ):
        return set()
    if is_money or len(letters) > 1:
        return letters
    (letter,) = letters
    with_letter = _median([(parts, n) for parts, n in found if parts.rest == letter], decimal)
    plain = _median([(parts, n) for parts, n in found if not parts.rest and not parts.times], decimal)
    if with_letter is None or plain is None or plain < _MULTIPLIED * max(with_letter, 1e-9):
        return set()
    return letters


def _median(found: list[tuple[NumberParts, int]], decimal: str) -> float | None:
    values = [
        abs(value)
        for parts, n in found
        for value in [digits_value(parts.digits, decimal)] * min(n, 100)
        if value
    ]
    return sorted(values)[len(values) // 2] if values else None


def _is_percent_of_hundred(found: list[tuple[NumberParts, int]], decimal: str) -> bool:
    """Return whether plain numbers of the column are percentages whose sign was left out."""
    marked = [(parts, n) for parts, n in found if parts.times == "%" and not parts.rest]
    plain = [(parts, n) for parts, n in found if not parts.times and not parts.rest]
    middle, other = _median(marked, decimal), _median(plain, decimal)
    return bool(middle and other and other > 1.0 and middle / 10 <= other <= middle * 10)


def boolean_number(value: Any, text: str) -> float | None:
    """Return 1 or 0 for true or false in a column of numbers; None for anything else. text: the canonical text."""
    return float(text == TRUE) if isinstance(value, bool) or text in {TRUE, "false"} else None
