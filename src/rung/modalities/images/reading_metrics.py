"""How well documents were read: character error rate of each, and the share that was read without any mistake.

Texts are compared after the same normalisation on both sides: Unicode NFKC (full and half width are one), any white space,
line breaks too, as one space, no space between or beside Chinese, Japanese and Korean characters. Case and punctuation count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

from rung.core.metrics.base import MeanMetric
from rung.core.types import Prediction
from rung.modalities.images.read_fields import Fields, are_fields, fields_of

_WIDE = r"\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af\uff00-\uffef"
_BESIDE_WIDE = re.compile(rf"(?<=[{_WIDE}]) | (?=[{_WIDE}])")


@lru_cache(maxsize=1 << 14)
def normalised(text: str) -> str:
    """Return a text as it is compared."""
    return _BESIDE_WIDE.sub("", " ".join(unicodedata.normalize("NFKC", text).split()))


@lru_cache(maxsize=1 << 15)
def edit_distance(one: str, other: str) -> int:
    """Return the least number of characters to insert, delete or replace (Levenshtein), by bits of a long integer.

    Hyyrö (2003): a column of the table is two bit vectors; a step costs the longer text over the word size.
    """
    if not one or not other:
        return len(one) + len(other)
    places: dict[str, int] = {}
    for place, char in enumerate(one):
        places[char] = places.get(char, 0) | 1 << place
    whole, top = (1 << len(one)) - 1, 1 << (len(one) - 1)
    up, down, distance = whole, 0, len(one)
    for char in other:
        same = places.get(char, 0)
        zero = (((same & up) + up) ^ up) | same | down
        plus, minus = down | (~(zero | up) & whole), up & zero
        distance += bool(plus & top) - bool(minus & top)
        plus = (plus << 1) | 1
        up, down = ((minus << 1) | (~(zero | plus) & whole)) & whole, plus & zero & whole
    return distance


def error_rate(truth: str, answer: str) -> float:
    """Return the character error rate of a document: mistakes over characters of the truth, at most 1.

    truth, answer: texts, or canonical fields: then mistakes and characters are summed over the fields that either has. A document
    without text is 0 where nothing was read, else 1.
    """
    if not (are_fields(truth) or are_fields(answer)):
        pairs = [(normalised(truth), normalised(answer))]
    else:
        true, said = dict(_fields(truth)), dict(_fields(answer))
        pairs = [(normalised(true.get(n, "")), normalised(said.get(n, ""))) for n in sorted({*true, *said})]
    mistakes = sum(edit_distance(a, b) for a, b in pairs)
    chars = sum(len(a) for a, _ in pairs)
    return min(mistakes / chars, 1.0) if chars else float(mistakes > 0)


def reads_exactly(truth: str, answer: str) -> bool:
    """Return whether a document was read without a mistake."""
    return error_rate(truth, answer) == 0.0


def field_share(truth: str, answer: str) -> float:
    """Return the share of the fields that either has whose texts agree; 1 where neither has any."""
    true, said = dict(_fields(truth)), dict(_fields(answer))
    names = {*true, *said}
    right = sum(normalised(true.get(n, "")) == normalised(said.get(n, "")) for n in names)
    return right / len(names) if names else 1.0


def _fields(value: str) -> Fields:
    """Return the fields of a document; a text is a field of its own."""
    return fields_of(value) if are_fields(value) else (("text", value),)


class CharacterErrorRate(MeanMetric):
    """The mean over documents of the character error rate, at most 1 of a document; lower is better."""

    higher_is_better = False

    def __init__(self, name: str = "cer") -> None:
        super().__init__(name, lambda truth, answer: error_rate(truth, answer.value))


def reading_accuracy(name: str = "reading_accuracy") -> MeanMetric:
    """Return the mean over documents of 1 - min(character error rate, 1)."""
    return MeanMetric(name, lambda truth, answer: 1.0 - error_rate(truth, answer.value))


def exact_documents(name: str = "exact_documents") -> MeanMetric:
    """Return the share of documents that were read without a mistake."""

    def value(truth: str, answer: Prediction) -> float:
        return float(reads_exactly(truth, answer.value))

    return MeanMetric(name, value, binary=True)


def exact_fields(name: str = "exact_fields") -> MeanMetric:
    """Return the mean over documents of the share of their fields that were read without a mistake."""
    return MeanMetric(name, lambda truth, answer: field_share(truth, answer.value))


def mistakes_by_field(truths: Sequence[str], answers: Sequence[str]) -> Mapping[str, tuple[int, int, int]]:
    """Return, a field, how many documents have it, how many were read right, and in how many it was missed."""
    found: dict[str, list[int]] = {}
    for truth, answer in zip(truths, answers, strict=True):
        said = dict(_fields(answer))
        for name, text in _fields(truth):
            counts = found.setdefault(name, [0, 0, 0])
            counts[0] += 1
            counts[1] += normalised(text) == normalised(said.get(name, ""))
            counts[2] += name not in said
    return {name: (a, b, c) for name, (a, b, c) in found.items()}
