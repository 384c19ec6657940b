"""From a cell to a bin: quantiles of numbers, kinds of categories, lengths and scripts of texts. Fixed once learned.

What is kept of the rows it was learned from are edges between quantiles and short hashes of frequent categories:
no text, and no value that a row could be known by.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
_N_QUANTILES = 30
_MAX_CATEGORIES = 40
# Of a text so much is looked at.
MAX_CHARS = 5_000
SCRIPTS = ("LATIN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "CYRILLIC", "ARABIC", "DEVANAGARI", "GREEK", "THAI", "other", "none")  # fmt: skip


class Binning(Protocol):
    """A way to put cells into bins. key: how it is known in the reference."""

    key: str

    @property
    def n_bins(self) -> int:
        """Return how many bins there are."""
        ...

    def assign(self, cells: Sequence[Any]) -> Ints:
        """Return the bin of each cell."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        ...


class QuantileBins:
    """Numbers by the quantiles of earlier ones; the last bin holds what is missing."""

    key = "quantiles"

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = np.asarray(edges, dtype=np.float64)

    @classmethod
    def fit(cls, values: Sequence[Any]) -> QuantileBins:
        """Return the quantiles of numbers; where some number is frequent it has a bin of its own."""
        found = _to_floats(values)
        found = found[np.isfinite(found)]
        if not len(found):
            return cls([])
        inner = np.quantile(found, np.linspace(0, 1, _N_QUANTILES + 1)[1:-1], method="lower")
        # An edge just above a value parts it from what is greater; one at it, from what is smaller.
        often = [value for value, count in Counter(inner.tolist()).items() if count > 1]
        return cls(np.unique([*inner, *np.nextafter(often, np.inf)]).tolist())

    @property
    def n_bins(self) -> int:
        return len(self.edges) + 2

    def assign(self, cells: Sequence[Any]) -> Ints:
        values = _to_floats(cells)
        found = np.searchsorted(self.edges, values, side="right")
        return np.asarray(np.where(np.isnan(values), len(self.edges) + 1, found), dtype=np.int64)

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.key, "edges": self.edges.tolist()}


class TextLengthBins(QuantileBins):
    """Texts by their number of characters."""

    key = "lengths"

    @classmethod
    def fit(cls, values: Sequence[Any]) -> TextLengthBins:
        """Return the quantiles of the lengths of texts."""
        return cls(QuantileBins.fit([_length(value) for value in values]).edges.tolist())

    def assign(self, cells: Sequence[Any]) -> Ints:
        return super().assign([_length(cell) for cell in cells])


class CategoryBins:
    """Categories, the most frequent first; then all others, then what is missing."""

    key = "categories"

    def __init__(self, hashes: Sequence[str]) -> None:
        self.hashes = tuple(hashes)
        self._place = {name: place for place, name in enumerate(self.hashes)}

    @classmethod
    def fit(cls, values: Sequence[Any]) -> CategoryBins:
        """Return the frequent categories among these."""
        counts = Counter(_hash(str(value)) for value in values if not _is_missing(value))
        ordered = sorted(counts, key=lambda name: (-counts[name], name))
        return cls([name for name in ordered if counts[name] > 1][:_MAX_CATEGORIES])

    @property
    def n_bins(self) -> int:
        return len(self.hashes) + 2

    def assign(self, cells: Sequence[Any]) -> Ints:
        others, none = len(self.hashes), len(self.hashes) + 1
        return np.array(
            [none if _is_missing(cell) else self._place.get(_hash(str(cell)), others) for cell in cells],
            dtype=np.int64,
        )

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.key, "hashes": list(self.hashes)}


class ScriptBins:
    """Texts by the script most of their letters are of, and how many of them are: nearly all, most, or a mixture."""

    key = "scripts"
    n_bins = 3 * len(SCRIPTS)

    def assign(self, cells: Sequence[Any]) -> Ints:
        return np.array([_script_bin("" if cell is None else str(cell)) for cell in cells], dtype=np.int64)

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.key}


class FixedBins:
    """Values that are bins already, or the names of a fixed list; what is not in it has the last bin."""

    key = "given"

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._place = {name: place for place, name in enumerate(self.names)}

    @property
    def n_bins(self) -> int:
        return len(self.names) + 1

    def assign(self, cells: Sequence[Any]) -> Ints:
        return np.array([self._place.get(str(cell), len(self.names)) for cell in cells], dtype=np.int64)

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.key, "names": list(self.names)}


def binning_from_dict(raw: Mapping[str, Any]) -> Binning:
    """Return what an `as_dict` wrote."""
    made: dict[str, Any] = {
        "quantiles": lambda: QuantileBins(raw["edges"]),
        "lengths": lambda: TextLengthBins(raw["edges"]),
        "categories": lambda: CategoryBins(raw["hashes"]),
        "scripts": ScriptBins,
        "given": lambda: FixedBins(raw["names"]),
    }
    found: Binning = made[raw["key"]]()
    return found


def _to_floats(cells: Sequence[Any]) -> npt.NDArray[np.float64]:
    return np.array([_to_float(cell) for cell in cells], dtype=np.float64)


def _to_float(cell: Any) -> float:
    """Return a number; what is a word where numbers are read counts as missing."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return math.nan


def _length(cell: Any) -> int:
    return len("" if cell is None else str(cell))


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


@lru_cache(maxsize=1 << 16)
def _script_of(char: str) -> int:
    name = unicodedata.name(char, "").split(" ")[0]
    return SCRIPTS.index(name) if name in SCRIPTS else SCRIPTS.index("other")


def _script_bin(text: str) -> int:
    text = text[:MAX_CHARS]
    if text.isascii():
        return 3 * SCRIPTS.index("LATIN" if any(map(str.isalpha, text)) else "none")
    counts = Counter(_script_of(char) for char in text if char.isalpha())
    if not counts:
        return 3 * SCRIPTS.index("none")
    script, most = counts.most_common(1)[0]
    share = most / counts.total()
    return 3 * script + (0 if share > 0.95 else 1 if share > 0.7 else 2)
