"""Fields of a document: their form, and which line of a page holds which, by what such lines were on training pages."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.scalars import is_missing, scalar_text
from rung.modalities.images.text_lines import TextLine

MAX_FIELDS, MAX_NAME, MAX_VALUE = 200, 100, 10_000
Fields = tuple[tuple[str, str], ...]
# Measures of a line: place and size, as shares of the page, then shares of kinds of characters, then marks.
_MARKS = ("@", "www", ".", ",", ":", "/", "-", "+", "(", "#", "%", "$", "￥")
MEASURES = 4 + 6 + len(_MARKS) + 2


def fields_of(value: Any) -> Fields:
    """Return fields sorted by name, from an object, its JSON, or fields already. Raises ValueError, "bad_fields: reason".

    An empty value is the same as none: the field is left out.
    """
    if isinstance(value, str):
        return _from_text(value)
    items = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(items, list | tuple) or not all(
        isinstance(item, list | tuple) and len(item) == 2 for item in items
    ):
        raise ValueError("bad_fields: holds no object of names and texts")
    if len(items) > MAX_FIELDS:
        raise ValueError(f"bad_fields: holds {len(items):,} fields; at most {MAX_FIELDS} are read")
    found: dict[str, str] = {}
    for name, text in items:
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
            raise ValueError(f"bad_fields: '{str(name)[:40]}' is no name of at most {MAX_NAME} characters")
        if isinstance(text, list | dict | bool):
            raise ValueError(f"bad_fields: the value of '{name}' is no text")
        said = "" if text is None or (not isinstance(text, str) and is_missing(text)) else scalar_text(text)
        if len(said) > MAX_VALUE:
            raise ValueError(f"bad_fields: '{name}' has more than {MAX_VALUE:,} characters")
        if said.strip():
            found[name.strip()] = said.strip()
    return tuple(sorted(found.items()))


@lru_cache(maxsize=1 << 14)
def _from_text(text: str) -> Fields:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"bad_fields: holds '{text[:40]}', which is no object in JSON")
    return fields_of(found)


def fields_text(value: Any) -> str:
    """Return fields as their canonical text, an object of JSON sorted by name: what products store and compare."""
    return json.dumps(dict(fields_of(value)), ensure_ascii=False)


def are_fields(text: str) -> bool:
    """Return whether a text is an object of JSON that holds fields."""
    if not (text.startswith("{") and text.endswith("}")):
        return False
    try:
        _from_text(text)
    except ValueError:
        return False
    return True


def measures_of(line: TextLine, page: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Return what a line looks like, [MEASURES]: where it stands, how high it is, and which characters it has.

    page: width and height of the image.
    """
    width, height = max(page[0], 1.0), max(page[1], 1.0)
    place = [line.x / width, (line.y + line.height / 2) / height, line.height / height, line.width / width]
    text = line.text
    count = max(len(text), 1)
    kinds = [
        sum(map(str.isdigit, text)), sum(map(str.isupper, text)), sum(map(str.islower, text)),
        sum("\u3400" <= c <= "\u9fff" for c in text), text.count(" "),
        sum(not c.isalnum() and not c.isspace() for c in text),
    ]  # fmt: skip
    marks = [float(mark in text.lower()) for mark in _MARKS]
    sizes = [math.log1p(len(text)), float(text[:1].isdigit())]
    return np.array([*place, *(kind / count for kind in kinds), *marks, *sizes], np.float64)


@dataclass(frozen=True)
class FieldFinder:
    """Which line holds which field: a softmax over fields and "none" for each line; each field takes its likeliest line.

    names: of the fields. mean, spread: of the measures. weights: [MEASURES, names + 1]; bias: [names + 1], the last one
    "none". prefixes: words that stand before a field's value on its line, the longest first. least: probability from
    which a field is answered.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    prefixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: float = 0.5

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> FieldFinder:
        """Return what `as_dict` gave; raises KeyError, TypeError or ValueError for anything else."""
        return FieldFinder(
            tuple(map(str, raw["names"])),
            tuple(map(float, raw["mean"])),
            tuple(map(float, raw["spread"])),
            tuple(tuple(map(float, row)) for row in raw["weights"]),
            tuple(map(float, raw["bias"])),
            {str(name): tuple(map(str, words)) for name, words in raw["prefixes"].items()},
            float(raw["least"]),
        )

    def probabilities(self, lines: Sequence[TextLine], page: tuple[float, float]) -> npt.NDArray[np.float64]:
        """Return [lines, names + 1]: how likely each line holds each field, or none."""
        measured = np.array([measures_of(line, page) for line in lines]).reshape(len(lines), MEASURES)
        logits = (measured - self.mean) / self.spread @ np.array(self.weights) + self.bias
        exp = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(exp / exp.sum(axis=1, keepdims=True), np.float64)

    def find(self, lines: Sequence[TextLine], page: tuple[float, float]) -> dict[str, tuple[str, float]]:
        """Return the text of each field that is found, and how sure: of the line and of its reading together.

        The likeliest pair of line and field is taken first; a line holds one field, a field stands on one line.
        """
        if not lines:
            return {}
        chances = self.probabilities(lines, page)[:, :-1]
        found: dict[str, tuple[str, float]] = {}
        while chances.size and chances.max() >= self.least:
            row, column = divmod(int(chances.argmax()), chances.shape[1])
            name, line = self.names[column], lines[row]
            sure = float(chances[row, column]) * (1.0 if line.score is None else line.score)
            found[name] = (without_prefix(line.text, self.prefixes.get(name, ())), sure)
            chances[row, :] = chances[:, column] = 0.0
        return found


def without_prefix(text: str, prefixes: Sequence[str]) -> str:
    """Return the text behind the first of the prefixes that it begins with, whatever its case and spaces."""
    for prefix in prefixes:
        pattern = r"\s*".join(map(re.escape, "".join(prefix.split())))
        if found := re.match(rf"\s*{pattern}\s*", text, re.IGNORECASE):
            return text[found.end() :].strip() or text
    return text
