"""Encode a table's columns as numbers and category codes: the same code for fitting and for predicting.

Numbers stay as they are, dates become calendar features, categories become codes, and a free-text column
becomes scores of a linear model over its words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.types import Columns
from rung.modalities.tables.dates import parse_date
from rung.modalities.tables.text_feature import TextScorer

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
# A value in fewer rows may identify a person: a bundle stores at most its digest.
MIN_VALUE_ROWS = 3
_CALENDAR_PARTS = ("day", "month", "weekday", "hour")
_NO_DIGESTS = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class Cells:
    """Rows ready for a model.

    numbers: [rows, p], NaN where missing. codes: [rows, q], from 0: the known values in order, then "other",
    last "missing". sizes: number of codes of each of the q columns.
    """

    numbers: Floats
    codes: Codes
    sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: npt.NDArray[np.int64]) -> Cells:
        """Return these rows."""
        return Cells(self.numbers[rows], self.codes[rows], self.sizes)

    def merged(self, fewest: int) -> Cells:
        """Return the rows with the code "other" for each value that fewer than `fewest` of them have."""
        codes = self.codes.copy()
        for j, size in enumerate(self.sizes):
            known = np.append(np.bincount(codes[:, j], minlength=size)[:-1] >= fewest, True)
            codes[:, j] = np.where(known[codes[:, j]], codes[:, j], size - 2)
        return Cells(self.numbers, codes, self.sizes)


class _Codes(dict[Any, int]):
    """Map the values of a category to codes, unknown values to "other", empty ones to "missing"."""

    def __init__(self, name: str, values: Sequence[str], digests: npt.NDArray[np.uint64]) -> None:
        super().__init__({value: code for code, value in enumerate(values)})
        self._name = name
        self._by_digest = {digest: len(values) + place for place, digest in enumerate(digests.tolist())}
        self._other = len(values) + len(digests)
        self.update(dict.fromkeys((None, ""), self._other + 1))

    def __missing__(self, value: Any) -> int:
        if not self._by_digest:
            return self._other
        return self._by_digest.get(digest(self._name, value), self._other)


def digest(name: str, value: Any) -> int:
    """Return the hash that stands for a rare value of a column.

    It hides a value only from those who cannot guess it: whoever has a bundle can try all plausible values
    and learn for each whether a training row had it, and with which label.
    """
    text = f"{name}\0{value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=b"rung-category").digest(), "little")


@dataclass(frozen=True)
class TableFeatures:
    """Which features are computed from which columns.

    numbers: (column, part); the part is "" for the number itself, else a calendar feature. categories: column
    -> its known values. digests: column -> digests of known values with too few rows to be stored. texts:
    column -> its text scorer. left_out: column -> why it is not used.
    """

    numbers: tuple[tuple[str, str], ...]
    categories: Mapping[str, tuple[str, ...]]
    digests: Mapping[str, npt.NDArray[np.uint64]]
    texts: Mapping[str, TextScorer]
    left_out: Mapping[str, str]

    @property
    def number_sources(self) -> tuple[str, ...]:
        """Return the source column of each number of `Cells`."""
        scores = [name for name, text in self.texts.items() for _ in range(text.width + 1)]
        return (*(name for name, _ in self.numbers), *scores)

    @cached_property
    def _known(self) -> dict[str, _Codes]:
        return {name: _Codes(name, values, self.digests[name]) for name, values in self.categories.items()}

    def encode(self, inputs: Columns, text_scores: Mapping[str, Floats] | None = None) -> Cells:
        """Return rows as a model reads them. text_scores: out-of-fold scores of training rows, in place of
        the scorers'.
        """
        rows = len(next(iter(inputs.values()))) if inputs else 0
        columns: list[Floats] = []
        times: dict[str, dict[str, Floats]] = {}
        for name, part in self.numbers:
            if not part:
                columns.append(as_floats(inputs[name]))
                continue
            if name not in times:
                times[name] = calendar_features(inputs[name])
            columns.append(times[name][part])
        blocks = [np.column_stack(columns) if columns else np.zeros((rows, 0))]
        for name, text in self.texts.items():
            found = (text_scores or {}).get(name)
            blocks.append(text.scores(inputs[name]) if found is None else found)
            blocks.append(
                np.array([[len(str(cell or ""))] for cell in inputs[name]], np.float64).reshape(rows, 1)
            )
        codes = np.zeros((rows, len(self.categories)), dtype=np.int32)
        for place, name in enumerate(self.categories):
            codes[:, place] = np.fromiter(map(self._known[name].__getitem__, inputs[name]), np.int32, rows)
        sizes = (len(values) + len(self.digests[name]) + 2 for name, values in self.categories.items())
        return Cells(np.hstack(blocks), codes, tuple(sizes))

    def shown(self, inputs: Columns, row: int) -> dict[str, str]:
        """Return each column of a row for display: "age = 34"."""
        return {name: shown_cell(name, column[row]) for name, column in inputs.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON part: everything but digests and the arrays of the text scorers."""
        return {
            "numbers": [list(pair) for pair in self.numbers],
            "categories": {name: list(values) for name, values in self.categories.items()},
            "texts": {name: text.as_dict() for name, text in self.texts.items()},
            "left_out": dict(self.left_out),
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the digests and the arrays of the text scorers, for safetensors."""
        found: dict[str, npt.NDArray[Any]] = {}
        for place, name in enumerate(self.categories):
            found |= {f"digests.{place}": self.digests[name]} if len(self.digests[name]) else {}
        for place, text in enumerate(self.texts.values()):
            found |= {f"text.{place}.{key}": array for key, array in text.arrays().items()}
        return found

    @staticmethod
    def from_parts(raw: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> TableFeatures:
        """Return the features that `as_dict` and `arrays` describe."""
        texts = {}
        for place, (name, facts) in enumerate(raw["texts"].items()):
            prefix = f"text.{place}."
            own = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
            texts[name] = TextScorer.from_parts(facts, own)
        return TableFeatures(
            tuple((name, part) for name, part in raw["numbers"]),
            {name: tuple(values) for name, values in raw["categories"].items()},
            {
                name: arrays.get(f"digests.{place}", _NO_DIGESTS)
                for place, name in enumerate(raw["categories"])
            },
            texts,
            dict(raw["left_out"]),
        )


def as_floats(column: Sequence[Any]) -> Floats:
    """Return a numeric column as an array, NaN where missing."""
    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    return np.array([np.nan if value is None or value == "" else value for value in column], dtype=np.float64)


def calendar_features(column: Sequence[Any]) -> dict[str, Floats]:
    """Return days since 1970, month, weekday (Monday 0) and hour of a column of ISO dates; NaN where missing."""
    cells = [_iso(cell) for cell in column]
    when = np.array(cells, dtype="datetime64[s]")
    missing = np.isnat(when)
    seconds = np.where(missing, 0, when.astype(np.int64)).astype(np.float64)
    day = np.floor(seconds / 86_400)
    month = when.astype("datetime64[M]").astype(np.int64) % 12 + 1.0
    found = {"day": day, "month": month, "weekday": (day + 3) % 7, "hour": np.floor(seconds % 86_400 / 3_600)}
    return {part: np.where(missing, np.nan, found[part]) for part in _CALENDAR_PARTS}


def _iso(cell: Any) -> str:
    """Return a date string that numpy parses; "NaT" for anything else."""
    if not cell:
        return "NaT"
    text = str(cell)
    return (
        text
        if len(text) in (10, 19) and text[4] == "-" == text[7] and text[:4].isdigit()
        else parse_date(text) or "NaT"
    )


def shown_cell(name: str, value: Any) -> str:
    """Return a cell for display: "age = 34"."""
    return f"{name} = {_display(value)}"


def _display(value: Any) -> str:
    if value is None or value == "" or value != value:
        return "?"
    return f"{float(value):.6g}" if isinstance(value, int | float | np.floating) else str(value)[:40]
