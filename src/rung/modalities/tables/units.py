"""Units that convert into each other, and currencies by symbol or code."""

from __future__ import annotations

import re
from collections.abc import Mapping

_CODES = [
    "usd",
    "eur",
    "gbp",
    "jpy",
    "cny",
    "rmb",
    "hkd",
    "chf",
    "inr",
    "brl",
    "aud",
    "cad",
    "nzd",
    "sgd",
    "sek",
    "nok",
    "dkk",
    "pln",
    "czk",
    "huf",
    "ron",
    "rub",
    "try",
    "zar",
    "mxn",
    "krw",
    "twd",
    "thb",
    "idr",
    "ils",
    "aed",
    "sar",
    "php",
    "vnd",
    "myr",
    "ngn",
    "uah",
    "clp",
    "cop",
    "ars",
]
# Symbols and short names -> the code that they are told apart by.
_SYMBOLS = {
    "us$": "usd", "r$": "brl", "hk$": "hkd", "nt$": "twd", "a$": "aud", "c$": "cad", "s$": "sgd", "nz$": "nzd",
    "mx$": "mxn", "$": "usd", "€": "eur", "£": "gbp", "¥": "cny", "元": "cny", "円": "cny", "圆": "cny", "rmb": "cny",
    "jpy": "cny", "₹": "inr", "rs.": "inr", "rs": "inr", "₩": "krw", "₽": "rub", "₺": "try", "₴": "uah", "₦": "ngn", "₱": "php",
    "฿": "thb", "₫": "vnd", "₪": "ils", "kč": "czk", "zł": "pln", "kr.": "kr", "kr": "kr", "fr.": "chf", "sfr.": "chf",
}  # fmt: skip
CURRENCIES = "|".join(
    (rf"(?<![a-z]){word}(?![a-z])" if word.isalpha() and word.isascii() else re.escape(word))
    for word in sorted({*_CODES, *_SYMBOLS}, key=len, reverse=True)
)
_FAMILIES: tuple[dict[str, float], ...] = (
    {
        "mm": 0.001, "millimeter": 0.001, "cm": 0.01, "centimeter": 0.01, "dm": 0.1, "m": 1.0, "meter": 1.0, "metre": 1.0,
        "meters": 1.0, "metres": 1.0, "km": 1000.0, "in": 0.0254, "inch": 0.0254, "inches": 0.0254, "ft": 0.3048,
        "feet": 0.3048, "foot": 0.3048, "yd": 0.9144, "mi": 1609.344, "mile": 1609.344, "miles": 1609.344, "米": 1.0,
        "厘米": 0.01, "毫米": 0.001, "公里": 1000.0, "千米": 1000.0,
    },
    {
        "mg": 1e-6, "g": 0.001, "gram": 0.001, "grams": 0.001, "kg": 1.0, "kgs": 1.0, "kilogram": 1.0, "kilograms": 1.0,
        "t": 1000.0, "ton": 1000.0, "tonne": 1000.0, "tonnes": 1000.0, "lb": 0.45359237, "lbs": 0.45359237,
        "pound": 0.45359237, "pounds": 0.45359237, "oz": 0.028349523125, "克": 0.001, "千克": 1.0, "公斤": 1.0, "斤": 0.5,
        "吨": 1000.0,
    },
    {
        "ms": 0.001, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "min": 60.0, "mins": 60.0,
        "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0,
        "d": 86400.0, "day": 86400.0, "days": 86400.0, "week": 604800.0, "weeks": 604800.0, "秒": 1.0, "分钟": 60.0,
        "小时": 3600.0, "天": 86400.0,
    },
    {"ml": 0.001, "cl": 0.01, "dl": 0.1, "l": 1.0, "liter": 1.0, "litre": 1.0, "liters": 1.0, "litres": 1.0, "毫升": 0.001,
     "升": 1.0},
    {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12},
    {"cm2": 1e-4, "m2": 1.0, "sqm": 1.0, "ha": 1e4, "km2": 1e6, "sqft": 0.09290304, "平方米": 1.0, "平米": 1.0},
    {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    {"km/h": 1.0, "kmh": 1.0, "kph": 1.0, "mph": 1.609344, "m/s": 3.6},
)  # fmt: skip
_MOST_CHARS = 12


def currency_of(word: str) -> str:
    """Return the code that a symbol or a code of a currency stands for; "" for "" ."""
    return _SYMBOLS.get(word, word)


def conversion(unit: str, other: str) -> float | None:
    """Return what a number in one unit is multiplied by to be in the other; None when they do not convert."""
    for family in _FAMILIES:
        if unit in family and other in family:
            return family[unit] / family[other]
    return None


def common_unit(units: Mapping[str, int], total: int) -> str:
    """Return the unit that most cells have after their number, where nearly all others convert to it or have none.

    units: what stands after the number ("" for nothing) -> cells. "" when there is no such unit.
    """
    n, unit = max(((n, unit) for unit, n in units.items() if unit), default=(0, ""))
    # A unit is a word, not the rest of a code such as 12-B7; m2 and cm2 are known.
    plain = (unit[:1].isalpha() or unit[:1] in {'"', "°"}) and not any(char.isdigit() for char in unit)
    if not unit or len(unit) > _MOST_CHARS or not (plain or conversion(unit, unit) is not None):
        return ""
    others = sum(count for other, count in units.items() if other and conversion(other, unit) is not None)
    ours = max(others, n)
    return unit if ours + units.get("", 0) >= 0.9 * total and ours >= 0.5 * total else ""
