"""Functions from a value to a bin: quantiles of numbers, frequent categories, lengths and scripts of texts.

They store edges between quantiles and short hashes of frequent categories: no text, and no value that
identifies a row.
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
# Characters of a text that are looked at.
MAX_CHARS = 5_000
SCRIPTS = ("LATIN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "CYRILLIC", "ARABIC", "DEVANAGARI", "GREEK", "THAI", "other", "none")  # fmt: skip


class Binning(Protocol):
    """Assigns values to bins. key: its type in the file of the reference."""

    key: str

    @property
    def n_bins(self) -> int:
        """Return the number of bins."""
        ...

    def assign(self, cells: Sequence[Any]) -> Ints:
        """Return the bin of each cell."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        ...


class QuantileBins:
    """Bins of numbers between the quantiles of the fitted values. The last bin is for missing values."""

    key = "quantiles"

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = np.asarray(edges, dtype=np.float64)

    @classmethod
    def fit(cls, values: Sequence[Any]) -> QuantileBins:
        """Return bins between the quantiles of these numbers. A frequent number gets a bin of its own."""
        found = _to_floats(values)
        found = found[np.isfinite(found)]
        if not len(found):
            return cls([])
        inner = np.quantile(found, np.linspace(0, 1, _N_QUANTILES + 1)[1:-1], method="lower")
        # An edge at a value separates it from smaller ones, an edge just above it from larger ones.
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
    """Bins of texts by their number of characters."""

    key = "lengths"

    @classmethod
    def fit(cls, values: Sequence[Any]) -> TextLengthBins:
        """Return bins between the quantiles of the lengths of these texts."""
        return cls(QuantileBins.fit([_length(value) for value in values]).edges.tolist())

    def assign(self, cells: Sequence[Any]) -> Ints:
        return super().assign([_length(cell) for cell in cells])


class CategoryBins:
    """One bin per frequent category, the most frequent first.

    Then one for all others, and one for missing values.
    """

    key = "categories"

    def __init__(self, hashes: Sequence[str]) -> None:
        self.hashes = tuple(hashes)
        self._place = {name: place for place, name in enumerate(self.hashes)}

    @classmethod
    def fit(cls, values: Sequence[Any]) -> CategoryBins:
        """Return bins for the frequent categories among these values."""
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
    """Bins of texts by their main script and its share of the letters: above 95 %, above 70 %, or less."""

    key = "scripts"
    n_bins = 3 * len(SCRIPTS)

    def assign(self, cells: Sequence[Any]) -> Ints:
        return np.array([_script_bin("" if cell is None else str(cell)) for cell in cells], dtype=np.int64)

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.key}


class FixedBins:
    """One bin per name of a fixed list. The last bin is for all other values."""

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
    """Return the binning that `as_dict` wrote."""
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
    """Return a cell as a number, NaN if it is not one."""
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
