"""What a written text must keep to, as it ships with the schema of a product, and which of it a text breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from rung.core.types import Schema
from rung.modalities.text.reading_level import school_grade, sentence_chars

# Names of conditions, in the order in which reports show them.
CONDITIONS = (
    "min_chars", "max_chars", "banned", "wanted", "matches", "json_schema", "most_copied", "max_grade", "max_sentence_chars",
)  # fmt: skip


@dataclass(frozen=True)
class WritingRules:
    """Conditions of a text and the steps after decoding, see `core.spec.writing` for each."""

    min_chars: int | None = None
    max_chars: int = 400
    banned: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    matches: str | None = None
    json_schema: Mapping[str, Any] | None = None
    most_copied: int | None = None
    max_grade: float | None = None
    max_sentence_chars: float | None = None
    steps: tuple[str, ...] = ("banned_words", "repetition", "personal_data", "length")
    candidates: int = 1
    temperature: float | None = None

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> WritingRules:
        """Return the rules of a dumped section `writing`."""
        found: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        return WritingRules(**found)

    def with_form(self, schema: Schema) -> Schema:
        """Return the schema with these rules in its first output, where bundle and metrics find them."""
        first = replace(schema.outputs[0], form=json.dumps(asdict(self), ensure_ascii=False, sort_keys=True))
        return replace(schema, outputs=(first, *schema.outputs[1:]))

    @property
    def named(self) -> tuple[str, ...]:
        """Return the conditions that are asked for; `max_chars` always is."""
        return tuple(name for name in CONDITIONS if getattr(self, name) not in (None, ()))

    @property
    def of_whole_texts(self) -> bool:
        """Return whether some condition can only be told of a whole text, so that another one may be drawn."""
        return bool(
            self.min_chars or self.wanted or self.matches or self.json_schema is not None or self.most_copied
            or self.max_grade is not None or self.max_sentence_chars is not None
        )  # fmt: skip

    @cached_property
    def banned_pattern(self) -> re.Pattern[str] | None:
        """Return what finds a banned word; None without any."""
        return _pattern(self.banned) if self.banned else None

    @cached_property
    def _wanted_patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(_pattern((word,)) for word in self.wanted)

    def in_words(self, most: int) -> str:
        """Return the conditions as a language model is told them. most: characters."""
        said = [f"Write at most {most} characters."]
        if self.min_chars:
            said.append(f"Write at least {self.min_chars} characters.")
        if self.banned:
            said.append(f"Never use these words: {', '.join(self.banned[:50])}.")
        if self.wanted:
            said.append(f"Use these words: {', '.join(self.wanted)}.")
        if self.max_grade is not None:
            said.append(f"Use short words and sentences: school grade {self.max_grade:g} at most.")
        if self.max_sentence_chars is not None:
            said.append(f"A sentence has at most {self.max_sentence_chars:g} characters on average.")
        if self.matches:
            said.append(f"The whole answer must match this regular expression: {self.matches}")
        return " ".join(said)

    def broken(self, text: str, copied: int = 0) -> tuple[str, ...]:
        """Return the conditions that a text breaks. copied: characters in a row that stand in a training text."""
        found = {
            "min_chars": self.min_chars is not None and len(text) < self.min_chars,
            "max_chars": len(text) > self.max_chars,
            "banned": self.banned_pattern is not None and bool(self.banned_pattern.search(text)),
            "wanted": any(not pattern.search(text) for pattern in self._wanted_patterns),
            # A text that is too long breaks `max_chars`; patterns read no further than that.
            "matches": self.matches is not None and not re.fullmatch(self.matches, text[: self.max_chars]),
            "json_schema": self.json_schema is not None and not _follows(text, self.json_schema),
            "most_copied": self.most_copied is not None and copied > self.most_copied,
            "max_grade": self.max_grade is not None and _is_above(school_grade(text), self.max_grade),
            "max_sentence_chars": self.max_sentence_chars is not None
            and sentence_chars(text) > self.max_sentence_chars,
        }
        return tuple(name for name in CONDITIONS if found[name])


def rules_of(schema: Schema) -> WritingRules:
    """Return the rules that ship with a schema; the defaults where it has none."""
    form = schema.outputs[0].form
    return WritingRules.from_dict(json.loads(form)) if form else WritingRules()


def _is_above(grade: float | None, most: float) -> bool:
    """Return whether a text is too hard; one that has no grade, since it is not English, is not known to be easy."""
    return grade is None or grade > most


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Return what finds one of some words: between word boundaries where a word is of letters of an alphabet."""
    each = []
    for word in words:
        before = r"\b" if word[0].isascii() and word[0].isalnum() else ""
        after = r"\b" if word[-1].isascii() and word[-1].isalnum() else ""
        each.append(f"{before}{re.escape(word)}{after}")
    return re.compile("|".join(each), re.IGNORECASE)


def _follows(text: str, schema: Mapping[str, Any]) -> bool:
    from rung.runtime.llm.errors import InvalidAnswer
    from rung.runtime.llm.structured import validated

    try:
        json.loads(text)
        validated(text, schema, "")
    except (InvalidAnswer, ValueError, RecursionError):
        return False
    return True
