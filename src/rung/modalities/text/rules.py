"""Rules written by hand: exact texts, phrases, or patterns with `*`.

There are no regular expressions, so a rule takes a few passes over the text at most, whatever the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.modalities.text.ngrams import normalize_text

KINDS = ("equals", "contains", "matches")


@dataclass(frozen=True)
class Rule:
    """One rule: `answer` where the normalised text equals, contains as whole words, or matches (`*`: any
    characters).
    """

    kind: str
    text: str
    answer: str

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Rule:
        """Return the rule of a spec: {equals | contains | matches: text, answer: label}."""
        kind = next(kind for kind in KINDS if raw.get(kind) is not None)
        return Rule(kind, str(raw[kind]), str(raw["answer"]))

    def __str__(self) -> str:
        return f"{self.kind} '{self.text}' -> {self.answer}"


class Rules:
    """Rules in order; the first one that matches answers."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._exact: dict[str, int] = {}
        self._others: list[tuple[int, str, tuple[str, ...]]] = []
        for index, rule in enumerate(self.rules):
            if rule.kind == "equals":
                self._exact.setdefault(normalize_text(rule.text), index)
            else:
                # Normalising maps a full-width star to "*"; white space around a star is ignored.
                parts = (
                    normalize_text(rule.text).split("*")
                    if rule.kind == "matches"
                    else [normalize_text(rule.text)]
                )
                self._others.append((index, rule.kind, tuple(part.strip() for part in parts)))

    def first_match(self, folded: str) -> int | None:
        """Return the index of the first rule that matches a normalised text; None when none does."""
        exact = self._exact.get(folded)
        for index, kind, parts in self._others:
            if exact is not None and exact < index:
                return exact
            if contains(folded, parts[0]) if kind == "contains" else matches(folded, parts):
                return index
        return exact


def contains(text: str, phrase: str) -> bool:
    """Return whether the text contains the phrase as whole words; in scripts without spaces, anywhere."""
    position = text.find(phrase)
    while position >= 0:
        if _is_word_boundary(text, position) and _is_word_boundary(text, position + len(phrase)):
            return True
        position = text.find(phrase, position + 1)
    return False


def matches(text: str, parts: Sequence[str]) -> bool:
    """Return whether the text consists of these parts in order, with anything between them."""
    if len(parts) == 1:
        return text == parts[0]
    first_match, *between, last = parts
    if len(text) < len(first_match) + len(last) or not (text.startswith(first_match) and text.endswith(last)):
        return False
    position, end = len(first_match), len(text) - len(last)
    for part in between:
        # The earliest match leaves the most text for the rest.
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _is_word_boundary(text: str, position: int) -> bool:
    """Return whether a word can begin or end at this position."""
    if position <= 0 or position >= len(text):
        return True
    return not (_is_spaced_letter(text[position - 1]) and _is_spaced_letter(text[position]))


def _is_spaced_letter(char: str) -> bool:
    """Return whether a character is a letter or digit of a script that separates words by spaces."""
    # From U+0E00 to U+0EFF Thai and Lao, from U+2E80 Chinese, Japanese and Korean.
    return char.isalnum() and not ("\u0e00" <= char <= "\u0eff" or char >= "\u2e80")
