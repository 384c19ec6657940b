"""An n-gram language model with interpolated Kneser-Ney smoothing, as sorted tables that numpy reads.

Chen & Goodman (1999), one discount for each order. The chance of a unit after h is (count - discount) / total plus what the
discounts leave, shared out by the chances after the shorter h. Below the highest order, counts are of different units
in front of an n-gram. The lowest order is uniform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from rung.core.errors import BundleError
from rung.modalities.text.decoding import Floats, LanguageModel
from rung.modalities.text.token_units import MARK, START, TokenUnits

TABLES_FILE = "ngrams.safetensors"
# Characters of a unit, at most.
_MOST_UNIT_CHARS = 16
UInts = npt.NDArray[np.uint64]
_BASE = 0x9E3779B97F4A7C15
_WRAP = (1 << 64) - 1


@dataclass(frozen=True)
class OrderTable:
    """The n-grams of one order by their first n - 1 units.

    contexts: hashes, sorted. starts: [contexts + 1], where the units that follow each begin. units, counts: of each n-gram.
    """

    contexts: UInts
    starts: npt.NDArray[np.int64]
    units: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    discount: float

    def followers(self, context: int) -> slice | None:
        """Return where the units that follow a context stand; None where it was never seen."""
        place = int(np.searchsorted(self.contexts, np.uint64(context)))
        if place == len(self.contexts) or int(self.contexts[place]) != context:
            return None
        return slice(int(self.starts[place]), int(self.starts[place + 1]))


class NgramLanguage(LanguageModel):
    """Units are told from at most `order` - 1 units before them. tables: of the orders 1 to n."""

    def __init__(self, units: TokenUnits, tables: Sequence[OrderTable]) -> None:
        self.units, self.tables = units, tuple(tables)
        self._uniform = np.full(len(units), 1.0 / len(units))

    @property
    def order(self) -> int:
        return len(self.tables)

    def begin(self, prompt: str) -> tuple[int, ...]:
        # No more than the last units can matter.
        return self._last([START, *self.units.encode(prompt[-_MOST_UNIT_CHARS * self.order :]), MARK])

    def after(self, state: tuple[int, ...], unit: int) -> tuple[int, ...]:
        return self._last([*state, unit])

    def _last(self, ids: Sequence[int]) -> tuple[int, ...]:
        return tuple(ids[max(len(ids) - self.order + 1, 0) :])

    def chances(self, state: tuple[int, ...]) -> Floats:
        found = self._uniform
        for size, table in enumerate(self.tables):
            if size > len(state):
                break
            place = table.followers(context_hash(state[len(state) - size :]))
            if place is None:
                break
            counts = table.counts[place].astype(np.float64)
            total = float(counts.sum())
            found = found * (table.discount * len(counts) / total)
            found[table.units[place]] += (counts - table.discount) / total
        return found.copy() if found is self._uniform else found

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        parts = {"discounts": np.array([table.discount for table in self.tables])}
        for size, table in enumerate(self.tables, 1):
            for name in ("contexts", "starts", "units", "counts"):
                parts[f"{name}_{size}"] = getattr(table, name)
        save_file(parts, folder / TABLES_FILE)
        self.units.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        from safetensors.numpy import load_file

        units, found = TokenUnits.load(folder), load_file(folder / TABLES_FILE)
        names = ("contexts", "starts", "units", "counts")
        tables = [
            OrderTable(**{name: found[f"{name}_{size}"] for name in names}, discount=float(discount))
            for size, discount in enumerate(found["discounts"].tolist(), 1)
        ]
        for table in tables:
            is_whole = len(table.starts) == len(table.contexts) + 1 and len(table.units) == len(table.counts)
            if not is_whole or (len(table.units) and not 0 <= table.units.max() < len(units)):
                raise BundleError("the n-grams do not fit their units", TABLES_FILE, "Build it again.")
        return cls(units, tables)


def context_hash(ids: Sequence[int]) -> int:
    """Return the hash of a context, equal to that of `context_hashes`."""
    found = 0
    for unit in ids:
        found = (found * _BASE + unit + 1) & _WRAP
    return found


def context_hashes(ids: npt.NDArray[np.int64], size: int) -> UInts:
    """Return the hash of the `size` units that end before each place from `size` on, [len(ids) - size + 1]."""
    found = np.zeros(max(len(ids) - size + 1, 0), np.uint64)
    with np.errstate(over="ignore"):
        for place in range(size):
            own = ids[place : place + len(found)].astype(np.uint64)
            found = found * np.uint64(_BASE) + own + np.uint64(1)
    return found
