"""Parse dates and times as people write them: ISO, slashes, month names, AM/PM, UTC suffixes, times of day."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from rung.core.scalars import to_plain

_SLASHED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})$")
_COMPACT = re.compile(r"((?:19|20)\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$")
_ISO = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?$")
_CLOCK = re.compile(
    r"(?P<before>.*?)(?:[ ,T]+|(?<=日))(?P<half>上午|下午|中午)?\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})"
    r"(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?\s*(?P<half2>[AaPp]\.?[Mm]\.?)?\s*"
    r"(?P<zone>Z|z|UTC|utc|GMT|gmt)?(?P<offset>[+-]\d{2}:?(?:\d{2})?)?"
)
_HOURS_ONLY = re.compile(r"(?P<before>.*?)[ ,T]+(?P<hour>\d{1,2})\s*(?P<half2>[AaPp]\.?[Mm]\.?)$")
_TIME_OF_DAY = re.compile(r"(-?)(\d{1,4}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?\s*([AaPp]\.?[Mm]\.?)?")
_MONTH_NAME_FORMATS = ("%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d %b %y")


def parse_date(value: Any, form: str = "") -> str | None:
    """Return a cell as an ISO date, with the time of day if given, in UTC; None when it is not a date.

    value: text, a number such as 20240131, or a date of Python, numpy or pandas. form: "dmy" or "mdy", the day and month
    order of this column for dates such as 03/04/2024.
    """
    if type(value) is not str:
        if isinstance(value, bool):
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        try:
            value = to_plain(value)
        except ValueError:
            return None
        if type(value) is int:
            value = str(value)
    return _parse_date_text(value.strip(), form) if isinstance(value, str) else None


@lru_cache(maxsize=1 << 16)
def _parse_date_text(text: str, form: str) -> str | None:
    if not text or len(text) > 40 or not any(char.isdigit() for char in text):
        return None
    clock = _CLOCK.fullmatch(text) or _HOURS_ONLY.fullmatch(text)
    try:
        day = _day(clock["before"].strip(" ,") if clock else text, form)
        return None if day is None else _iso(_at(day, clock.groupdict()) if clock else day)
    except (ValueError, OverflowError):
        return None


def _day(text: str, form: str) -> datetime | None:
    """Return the day that a text without a time of day names; raises ValueError for one that does not exist."""
    compact = _COMPACT.match(text)
    if compact:
        return datetime(int(compact[1]), int(compact[2]), int(compact[3]))
    slashed = _SLASHED.match(text)
    if slashed:
        first, second, year = int(slashed[1]), int(slashed[2]), int(slashed[3])
        month, day = (first, second) if form == "mdy" else (second, first)
        year += 0 if year > 99 else 2000 if year < 70 else 1900
        return datetime(year, month, day)
    iso = _ISO.match(text)
    if iso:
        return datetime(int(iso[1]), int(iso[2]), int(iso[3]))
    if text[:1].isalpha() or (text[:1].isdigit() and any(char.isalpha() for char in text)):
        words = " ".join(text.replace(",", " ").replace("-", " ").replace(".", " ").split())
        # A weekday before the date says nothing more.
        words = re.sub(r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]* ", "", words, flags=re.I)
        words = re.sub(r"^(.* )?(\d{1,2})(?:st|nd|rd|th)\b", r"\1\2", words, flags=re.I) if words else words
        for pattern in _MONTH_NAME_FORMATS:
            try:
                return datetime.strptime(words, pattern)
            except ValueError:
                continue
    return None


def _at(day: datetime, clock: dict[str, str | None]) -> datetime:
    """Return a moment of a day; raises ValueError for one that does not exist."""
    hour, minute, second = (int(clock.get(part) or 0) for part in ("hour", "minute", "second"))
    half = (clock.get("half2") or clock.get("half") or "").casefold().replace(".", "")
    if half:
        if not 0 < hour < 13 and not (clock.get("half") and hour < 24):
            raise ValueError("no hour of half a day")
        afternoon = half in {"pm", "下午"} or (half == "中午" and hour < 3)
        hour = hour if hour > 12 else hour % 12 + (12 if afternoon or (half == "中午" and hour == 12) else 0)
    next_day = (hour, minute, second) == (24, 0, 0)
    when = day.replace(hour=0 if next_day else hour, minute=minute, second=min(second, 59))
    if second > 60:
        raise ValueError("no second of a minute")
    offset = (clock.get("offset") or "").replace(":", "")
    if offset:
        shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:] or 0))
        when = when.replace(tzinfo=timezone(-shift if offset[0] == "-" else shift))
    return when + timedelta(days=1) if next_day else when


def _iso(when: datetime) -> str:
    if when.tzinfo:
        when = when.astimezone(UTC).replace(tzinfo=None)
    if (when.hour, when.minute, when.second) == (0, 0, 0):
        return when.date().isoformat()
    return when.replace(microsecond=0).isoformat()


def day_month_order(texts: Iterable[Any]) -> str:
    """Return "dmy" or "mdy" for dates such as 31/01/2024: the order that no date contradicts, else the more
    common one.
    """
    firsts = seconds = 0
    separators = ""
    for text in texts:
        words = str(text).split(maxsplit=1)
        match = _SLASHED.match(words[0].strip(",")) if words else None
        if match:
            firsts += int(match[1]) > 12
            seconds += int(match[2]) > 12
            separators += words[0][len(match[1])]
    if firsts == seconds:
        return "mdy" if separators.count("/") > len(separators) / 2 else "dmy"
    return "dmy" if firsts > seconds else "mdy"


def parse_time_of_day(value: Any) -> float | None:
    """Return "08:30", "8:30:15 PM" or a duration such as "30:15" in seconds; None for anything else."""
    match = _TIME_OF_DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    hours = int(match[2])
    if match[5]:
        if not 0 < hours < 13:
            return None
        hours = hours % 12 + (12 if match[5][0] in "pP" else 0)
    seconds = 3600.0 * hours + 60.0 * int(match[3]) + float(match[4] or 0.0)
    return -seconds if match[1] else seconds
