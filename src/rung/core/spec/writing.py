"""The section `writing`: what a written text must keep to, and what happens to it after it is decoded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rung.core.spec.data import Section, as_tuple

# Characters of a written text, at most.
MOST_CHARS = 4_000
MOST_CANDIDATES = 8
Step = Literal["banned_words", "repetition", "personal_data", "length"]
STEPS: tuple[Step, ...] = ("banned_words", "repetition", "personal_data", "length")
_PAIRS = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minimum", "maximum"),
    ("minProperties", "maxProperties"),
)


class WritingSpec(Section):
    """Conditions of a written text, and the steps after decoding."""

    min_chars: int | None = Field(
        default=None, ge=1, le=MOST_CHARS, description="characters of a text, at least"
    )
    max_chars: int = Field(default=400, ge=1, le=MOST_CHARS, description="characters of a text, at most")
    banned: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(), max_length=1_000, description="words that no text may hold, in any case"
    )
    wanted: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(), max_length=50, description="words that every text must hold, in any case"
    )
    matches: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="regular expression that a whole text must match; no repetition of a repetition",
    )
    json_schema: dict[str, Any] | None = Field(
        default=None, description="JSON schema that a text must follow as JSON; needs rung[llm]"
    )
    most_copied: int | None = Field(
        default=None,
        ge=1,
        le=MOST_CHARS,
        description="characters in a row that a text may have in common with a training text, at most",
    )
    max_grade: float | None = Field(
        default=None,
        ge=-3.0,
        le=30.0,
        description="school grade of an English text (Flesch-Kincaid), at most",
    )
    max_sentence_chars: float | None = Field(
        default=None,
        ge=1.0,
        le=MOST_CHARS,
        description="letters and digits of a sentence on average, at most; of Chinese: ideographs",
    )
    steps: tuple[Step, ...] = Field(default=STEPS, description="steps after decoding; `[]`: none")
    candidates: int = Field(
        default=1,
        ge=1,
        le=MOST_CANDIDATES,
        description="texts to draw, of which the one that keeps most conditions and is most like the others is answered",
    )
    temperature: float | None = Field(
        default=None,
        ge=0.0,
        le=2.0,
        description="of sampling; 0: always the likeliest; default: chosen on training rows",
    )

    @model_validator(mode="after")
    def _require_consistent(self) -> WritingSpec:
        if self.min_chars is not None and self.min_chars > self.max_chars:
            raise ValueError(f"min_chars is {self.min_chars} and max_chars {self.max_chars}: no text is both")
        both = {word.casefold() for word in self.banned} & {word.casefold() for word in self.wanted}
        if both:
            raise ValueError(f"'{min(both)}' is both banned and wanted")
        for word in self.wanted:
            inside = next((own for own in self.banned if own.casefold() in word.casefold()), None)
            if inside is not None and not _is_plain(inside):
                raise ValueError(f"the wanted '{word}' holds the banned '{inside}'")
        if any(not word.strip() or len(word) > 100 for word in (*self.banned, *self.wanted)):
            raise ValueError("banned and wanted words have 1 to 100 characters")
        if sum(len(word) for word in self.wanted) > self.max_chars:
            raise ValueError(f"the wanted words alone have more than max_chars, {self.max_chars} characters")
        if self.matches is not None:
            _require_pattern(self.matches)
        if self.json_schema is not None:
            problem = next(_contradictions(self.json_schema, "json_schema"), None)
            if problem is not None:
                raise ValueError(problem)
        return self


def _is_plain(word: str) -> bool:
    """Return whether a word is told from others by the letters around it, as those of an alphabet are."""
    return word.isascii()


def _require_pattern(pattern: str) -> None:
    """Raise ValueError for what is no pattern, or may take forever: a repetition of what already repeats."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"matches is no regular expression: {error}") from None
    if re.search(r"[*+}]\)*[)][*+{]", re.sub(r"\\.|\[[^\]]*\]", "a", pattern)):
        raise ValueError("matches repeats what already repeats, which may take forever: write it without")


def _contradictions(schema: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what no value can follow in a JSON schema."""
    for least, most in _PAIRS:
        low, high = schema.get(least), schema.get(most)
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield f"{where}: {least} is {low:g} and {most} {high:g}: no value is both"
    inner = schema.get("properties")
    named = inner if isinstance(inner, Mapping) else {}
    if schema.get("additionalProperties") is False:
        for name in schema.get("required") or ():
            if name not in named:
                yield f"{where}: '{name}' is required and not among the properties, and no others are allowed"
    if schema.get("enum") == []:
        yield f"{where}: an enum without values"
    for name, own in named.items():
        if isinstance(own, Mapping):
            yield from _contradictions(own, f"{where}.{name}")
    if isinstance(schema.get("items"), Mapping):
        yield from _contradictions(schema["items"], f"{where}.items")
