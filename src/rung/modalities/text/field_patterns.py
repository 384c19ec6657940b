"""Patterns of fields: the words before a value, its shape, the word after it. Learned from rows, readable by people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.core.field_values import folded_value
from rung.modalities.text.span_features import shape_of
from rung.modalities.text.spans import Span, tokens_of

# Tokens of one value, at most.
MOST_TOKENS = 24
# What stands in place of a word where a text or a line begins or ends; no word holds a line break.
EDGE = "\n"


@dataclass(frozen=True)
class Pattern:
    """A context: the folded words before a value, the shapes of its tokens, the folded word after it; None for any."""

    before: tuple[str, ...]
    shape: tuple[str, ...]
    after: str | None

    def __str__(self) -> str:
        words = ["¶" if word == EDGE else word for word in self.before]
        after = "" if self.after is None else "¶" if self.after == EDGE else self.after
        return " ".join((*words, f"[{' '.join(self.shape)}]", after)).strip()


@dataclass(frozen=True)
class FieldRule:
    """Where this pattern fits, a value of `field` stands. right, wrong: how often it was so in training texts."""

    field: str
    pattern: Pattern
    right: int
    wrong: int

    @property
    def score(self) -> float:
        """Return the share it is right in, as if two more rows had been seen, one of them wrong."""
        return (self.right + 1.0) / (self.right + self.wrong + 2.0)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        found = {"field": self.field, "before": list(self.pattern.before), "shape": list(self.pattern.shape)}
        return found | {"after": self.pattern.after, "right": self.right, "wrong": self.wrong}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> FieldRule:
        """Return the rule that `as_dict` wrote."""
        pattern = Pattern(tuple(raw["before"]), tuple(raw["shape"]), raw["after"])
        return FieldRule(raw["field"], pattern, int(raw["right"]), int(raw["wrong"]))


class ReadText:
    """The tokens of a text with their words and shapes, for patterns."""

    def __init__(self, text: str) -> None:
        self.tokens = tokens_of(text)
        words: list[str] = [EDGE, EDGE, EDGE]
        self._at = []
        shapes: list[str] = []
        last = 0
        for start, end in self.tokens:
            if "\n" in text[last:start]:
                words.append(EDGE)
            self._at.append(len(words))
            words.append(folded_value(text[start:end]) or text[start:end])
            shapes.append(_general(shape_of(text[start:end])))
            last = end
        words.append(EDGE)
        self._words, self.shapes = words, shapes

    def patterns(self, first: int, last: int) -> Iterator[Pattern]:
        """Yield the patterns of the tokens [first, last), the most particular first."""
        shape = tuple(self.shapes[first:last])
        begin, end = self._at[first], self._at[last - 1] + 1
        words, after = self._words, self._words[end]
        for size in (3, 2, 1):
            before = tuple(words[begin - size : begin])
            yield Pattern(before, shape, after)
            yield Pattern(before, shape, None)
        yield Pattern((), shape, after)
        yield Pattern((), shape, None)


class RuleSet:
    """Rules of all fields: the best one that fits a place says what stands there."""

    def __init__(self, rules: Sequence[FieldRule]) -> None:
        self.rules = tuple(rules)
        self._best: dict[Pattern, FieldRule] = {}
        for rule in rules:
            known = self._best.get(rule.pattern)
            if known is None or rule.score > known.score:
                self._best[rule.pattern] = rule
        self._shapes = frozenset(rule.pattern.shape for rule in rules)
        self._sizes = sorted({len(shape) for shape in self._shapes})

    def spans(self, text: str) -> list[Span]:
        """Return the values that rules find, with the score of the best rule for each place."""
        read = ReadText(text)
        found = []
        for first in range(len(read.tokens)):
            for size in self._sizes:
                last = first + size
                if last > len(read.tokens) or tuple(read.shapes[first:last]) not in self._shapes:
                    continue
                fits = [self._best[p] for p in read.patterns(first, last) if p in self._best]
                if fits:
                    best = max(fits, key=lambda rule: rule.score)
                    found.append(
                        Span(best.field, read.tokens[first][0], read.tokens[last - 1][1], best.score)
                    )
        return found


def _general(shape: str) -> str:
    """Return a shape that does not tell how many digits there are."""
    return "d" if shape[0] == "d" else shape
