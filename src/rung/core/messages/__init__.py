"""The message catalogue in English and Chinese, and locale-aware numbers, dates and plurals."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from rung.core.errors import RungError

LANGUAGES = ("en", "zh")
_PLURAL = {"one", "other"}


@cache
def catalogue(lang: str) -> Mapping[str, str | Mapping[str, str]]:
    """Return the catalogue of a language: dotted key -> message, or its plural forms `one` and `other`."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    flat: dict[str, str | Mapping[str, str]] = {}

    def walk(prefix: str, node: Mapping[str, Any]) -> None:
        for name, value in node.items():
            key = f"{prefix}{name}"
            if isinstance(value, dict) and not set(value) <= _PLURAL:
                walk(f"{key}.", value)
            else:
                flat[key] = value

    for path in sorted((Path(__file__).parent / lang).glob("*.yaml")):
        walk("", yaml.load(path.read_text(encoding="utf-8"), Loader=loader))  # noqa: S506 - a safe loader
    return flat


def has_message(key: str, lang: str) -> bool:
    """Return whether the catalogue has a message with this key."""
    return key in catalogue(lang)


def say(key: str, lang: str, **values: Any) -> str:
    """Return a formatted message. Integers get digit grouping; the value `n` selects singular or plural.

    The value `metric` is replaced by its localized name; values given as {language: text} by the text of this language.
    """
    message = catalogue(lang)[key]
    if not isinstance(message, str):
        message = message["one" if values["n"] == 1 else "other"]
    if "metric" in values:
        values["metric"] = metric_name(str(values["metric"]), lang)
        if values["metric"][-1:] > "\u4e00":
            # No space between two Chinese characters.
            message = re.sub(
                r"(?<=\{metric\}) (?=[\u4e00-\u9fff])|(?<=[\u4e00-\u9fff]) (?=\{metric\})", "", message
            )
    return message.format_map({name: _format_value(value, lang) for name, value in values.items()})


def say_or(key: str, lang: str, otherwise: str) -> str:
    """Return a message without values; `otherwise` if the catalogue does not have it, as for a plugin's keys."""
    return say(key, lang) if has_message(key, lang) else otherwise


def metric_name(name: str, lang: str) -> str:
    """Return the displayed name of a metric: in English its key in the spec, in Chinese its name; unknown ones unchanged.

    name: as in the spec, with its argument: f1:spam, within:10%, ndcg@10, ndcg@10:after=5.
    """
    kind, colon, of = name.partition(":")
    base, at, k = kind.partition("@")
    if at and has_message(f"metric.{base}_at", lang):
        shown, after = say(f"metric.{base}_at", lang, k=k), of.removeprefix("after=")
        return say("metric.after", lang, metric=shown, n=after) if colon else shown
    key = f"metric.{kind}_of" if colon else f"metric.{kind}"
    return say(key, lang, of=of) if has_message(key, lang) else name


def localized(lang: str, words: Any) -> str:
    """Return a text given once or per language, {en: ..., zh: ...}; English if the language is missing."""
    if isinstance(words, Mapping):
        return str(words.get(lang) or words.get("en") or next(iter(words.values()), ""))
    return str(words)


def _format_value(value: Any, lang: str) -> str:
    if isinstance(value, Mapping):
        return localized(lang, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value, lang)
    return f"{value:g}" if isinstance(value, float) else str(value)


def resolve_language(asked: str | None = None) -> str:
    """Return "en" or "zh": the requested language, else RUNG_LANG, else the system's.

    Raises RungError for a language without a catalogue.
    """
    wanted = asked or os.environ.get("RUNG_LANG")
    if wanted:
        short = wanted.replace("_", "-").split("-")[0].split(".")[0].lower()
        if short not in LANGUAGES:
            raise RungError(
                f"there are no messages in '{wanted}'",
                "--lang" if asked else "RUNG_LANG",
                f"Choose {' or '.join(LANGUAGES)}.",
            )
        return short
    system = next((os.environ[n] for n in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(n)), "")
    return "zh" if system.lower().startswith("zh") else "en"


def count(value: int, lang: str) -> str:
    """Return an integer with digit grouping: 1,692; in Chinese multiples of ten thousand as 10 万."""
    if lang == "zh" and value >= 10_000 and value % 1_000 == 0:
        if value >= 100_000_000 and value % 10_000_000 == 0:
            return f"{value / 100_000_000:g} 亿"
        return f"{value / 10_000:,g} 万"
    return f"{value:,}"


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage: 0.93 as 93%, in both languages."""
    return f"{share * 100:.{digits}f}%"


def significant(value: float, digits: int = 2) -> str:
    """Return a number with so many significant digits, grouped, never in scientific notation."""
    if value == 0:
        return "0"
    from math import floor, log10

    places = digits - 1 - floor(log10(abs(value)))
    return f"{round(value, places):,.{max(places, 0)}f}"


def money(usd: float, lang: str, digits: int = 2) -> str:
    """Return an amount of US dollars: $0.0088; in Chinese 0.0088 美元. Amounts from 100 have no cents."""
    amount = f"{usd:,.0f}" if abs(usd) >= 100 else f"{usd:.2f}" if abs(usd) >= 1 else significant(usd, digits)
    return f"${amount}" if lang == "en" else f"{amount} 美元"


def duration(seconds: float, lang: str) -> str:
    """Return a time span: 40 s, 3 min, 2.5 h, 3.0 days; in Chinese 40 秒, 3 分钟, 2.5 小时, 3.0 天."""
    if seconds < 90:
        return say("unit.seconds", lang, amount=f"{seconds:.0f}" if seconds >= 1 else "<1")
    if seconds < 5400:
        return say("unit.minutes", lang, amount=f"{seconds / 60:.0f}")
    if seconds < 172_800:
        return say("unit.hours", lang, amount=f"{seconds / 3600:.1f}")
    return say("unit.days", lang, amount=f"{seconds / 86_400:.1f}")


def day(when: date | str, lang: str) -> str:
    """Return a date: 1 November 2026; in Chinese 2026 年 11 月 1 日. A text that is not a date is returned unchanged."""
    try:
        found = when if isinstance(when, date) else date.fromisoformat(when)
    except ValueError:
        return str(when)
    if lang == "zh":
        return f"{found.year} 年 {found.month} 月 {found.day} 日"
    return f"{found.day} {_MONTHS[found.month - 1]} {found.year}"


def join_list(items: Sequence[str], lang: str, most: int = 20) -> str:
    """Return items joined as in prose: a, b and c; a、b 和 c. Items beyond `most` are only counted."""
    if len(items) > most:
        shown = [*items[:most], say("list.more", lang, n=len(items) - most)]
    else:
        shown = list(items)
    if len(shown) < 2:
        return "".join(shown)
    if lang == "en":
        return ", ".join(shown[:-1]) + " and " + shown[-1]
    # A space between Chinese and Latin letters.
    before, after = (" " if side.isascii() else "" for side in (shown[-2][-1:], shown[-1][:1]))
    return "、".join(shown[:-1]) + f"{before}和{after}" + shown[-1]


def listed(items: Iterable[str], lang: str) -> str:
    """Return items as in a table or a log: a, b; in Chinese a、b."""
    return ("、" if lang == "zh" else ", ").join(items)


def join_sentences(lang: str, *parts: str) -> str:
    """Return sentences joined: with a space in English, without in Chinese."""
    return (" " if lang == "en" else "").join(filter(None, parts))


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
