"""Answers given by hand: whole texts, words in them, or patterns with `*`. No regular expressions: a rule never
takes longer than reading the text a few times, whatever a text holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.modalities.text.ngrams import normalize_text

KINDS = ("equals", "contains", "matches")


@dataclass(frozen=True)
class Rule:
    """One rule: `answer` where the folded text equals, contains as whole words, or matches (`*`: any characters)."""

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
    """Rules in the order in which they are asked: the first that fits answers."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._whole: dict[str, int] = {}
        self._others: list[tuple[int, str, tuple[str, ...]]] = []
        for index, rule in enumerate(self.rules):
            if rule.kind == "equals":
                self._whole.setdefault(normalize_text(rule.text), index)
            else:
                # Folding makes a wide star one star; white space around a star means nothing.
                parts = (
                    normalize_text(rule.text).split("*")
                    if rule.kind == "matches"
                    else [normalize_text(rule.text)]
                )
                self._others.append((index, rule.kind, tuple(part.strip() for part in parts)))

    def first(self, folded: str) -> int | None:
        """Return the number of the first rule that fits a folded text; None when none does."""
        whole = self._whole.get(folded)
        for index, kind, parts in self._others:
            if whole is not None and whole < index:
                return whole
            if contains(folded, parts[0]) if kind == "contains" else matches(folded, parts):
                return index
        return whole


def contains(text: str, phrase: str) -> bool:
    """Return whether a phrase stands in a text as whole words; in scripts without spaces, anywhere."""
    at = text.find(phrase)
    while at >= 0:
        if _edge(text, at) and _edge(text, at + len(phrase)):
            return True
        at = text.find(phrase, at + 1)
    return False


def matches(text: str, parts: Sequence[str]) -> bool:
    """Return whether a whole text is these parts in order, with anything between them."""
    if len(parts) == 1:
        return text == parts[0]
    first, *between, last = parts
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in between:
        # The earliest place leaves most room for the rest.
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _edge(text: str, at: int) -> bool:
    """Return whether a word can begin or end between two characters."""
    if at <= 0 or at >= len(text):
        return True
    return not (_in_word(text[at - 1]) and _in_word(text[at]))


def _in_word(char: str) -> bool:
    """Return whether a character is a letter or digit of a script that puts spaces between words."""
    # From U+0E00 to U+0EFF Thai and Lao, from U+2E80 Chinese, Japanese and Korean.
    return char.isalnum() and not ("\u0e00" <= char <= "\u0eff" or char >= "\u2e80")
