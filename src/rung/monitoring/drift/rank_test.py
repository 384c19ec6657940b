"""Do rows still come from where the reference came from? A conformal test martingale over bins, valid for ever.

Null hypothesis: the reference's values and the stream's values of one statistic are exchangeable, in any order equally
likely; rows drawn independently from one source are. Nothing else is assumed: no shape, no known distribution.

Each row's value is a bin 0 .. K-1 given by a function that was fixed on OTHER rows (see `sketch`). The bag holds the
bins of the reference and of all stream rows so far, this one included. With U uniform and fresh,

    v = (rows of the bag in lower bins + U * rows of the bag in this bin, itself included) / rows of the bag.

Under the null v(1), v(2), ... are independent and uniform on (0, 1) (Vovk, Gammerman & Shafer 2005, theorem 8.2;
Vovk, Nouretdinov & Gammerman 2003), **at any size of the reference, 0 too**: since each new row joins the bag before it
is ranked, the reference's own error of estimation never enters. Ranking against the reference alone would be wrong:
such v depend on each other through it, and a long stream alarms at the error of a small reference.

Each bet is a density on (0, 1), fixed before its row: its integral is 1, so the factor has mean 1 under the null.
Straight lines find shifts up or down, powers find rows at either end, `both` and `middle` changes of spread, and the two
learners bet on the histogram of the last few hundred or few thousand v, which finds any change, of categories too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.monitoring.drift.betting import CapitalProcess, Floats

Ints = npt.NDArray[np.int64]
_LINEAR_SLOPES = (-0.9, -0.3, 0.3, 0.9)
_POWERS = (0.3, 0.6)
# The learners: cells of their histogram, rows they remember, rows between two looks, share bet on it.
_CELLS, _MEMORIES, _BLOCK, _SHARE = 10, (150.0, 1_500.0), 10, 0.9
N_BETS = len(_LINEAR_SLOPES) + 2 * len(_POWERS) + 2 + len(_MEMORIES)
# A row that has no such value.
MISSING = -1


@dataclass
class RankTest:
    """The test of one statistic. counts: rows of the bag in each bin. begun: the same before the stream.

    learned: [memories, cells] of weights that the learners hold.
    """

    counts: Ints
    initial_counts: Ints
    capital: CapitalProcess = field(default_factory=lambda: CapitalProcess.initial(N_BETS))
    histograms: Floats = field(default_factory=lambda: np.ones((len(_MEMORIES), _CELLS)))

    @classmethod
    def from_counts(cls, reference: npt.ArrayLike) -> RankTest:
        """Return a test against a reference's counts in each bin; zeros everywhere are no reference at all."""
        counts = np.asarray(reference, dtype=np.int64)
        return cls(counts.copy(), counts.copy())

    def update(self, bins: Ints, uniform: Floats) -> Floats:
        """Return the log capital after each row; a row without a value (NO_VALUE) leaves it as it is.

        bins: of rows in the order they came. uniform: fresh numbers in (0, 1), as many.
        """
        has = np.flatnonzero(bins != MISSING)
        before = self.capital.log_capital
        after = self.capital.update(self._log_factors(self._p_values(bins[has], uniform[has])))
        # Of each row, the capital after the last row up to it that had a value.
        return np.concatenate([[before], after])[np.searchsorted(has, np.arange(len(bins)), side="right")]

    def _p_values(self, bins: Ints, uniform: Floats) -> Floats:
        """Return v of each row; every row joins the bag before it is ranked."""
        if not len(bins):
            return np.empty(0)
        order = np.arange(len(bins))
        one_hot = np.zeros((len(bins), len(self.counts)), dtype=np.int64)
        one_hot[order, bins] = 1
        bag = self.counts + np.cumsum(one_hot, axis=0)
        up_to = np.cumsum(bag, axis=1)
        same = bag[order, bins]
        lower = up_to[order, bins] - same
        self.counts = bag[-1].copy()
        return np.asarray(((lower + uniform * same) / up_to[:, -1]).clip(1e-12, 1 - 1e-12))

    def _log_factors(self, v: Floats) -> Floats:
        """Return the log of each kind of bet's factor: [rows, KINDS]."""
        ends = 2 * np.minimum(v, 1 - v)
        fixed = [np.log1p(slope * (2 * v - 1)) for slope in _LINEAR_SLOPES]
        fixed += [math.log(k) + (k - 1) * np.log(side) for k in _POWERS for side in (v, 1 - v)]
        fixed += [math.log(0.5) - 0.5 * np.log(ends), np.log1p(0.9 * (2 * ends - 1))]
        return np.column_stack([*fixed, *self._histogram_bets(v)])

    def _histogram_bets(self, v: Floats) -> list[Floats]:
        """Return the log factors of the learners: what they bet on a block was learned before it."""
        cells = np.minimum((v * _CELLS).astype(np.int64), _CELLS - 1)
        found = [np.empty(len(v)) for _ in _MEMORIES]
        for begin in range(0, len(v), _BLOCK):
            block = cells[begin : begin + _BLOCK]
            for nth, memory in enumerate(_MEMORIES):
                weights = self.histograms[nth]
                density = (1 - _SHARE) + _SHARE * _CELLS * weights / weights.sum()
                found[nth][begin : begin + _BLOCK] = np.log(density[block])
                kept = math.exp(-len(block) / memory)
                # The one in each cell that it began with never fades: no cell is ever thought impossible.
                self.histograms[nth] = 1 + (weights - 1) * kept + np.bincount(block, minlength=_CELLS)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the test as JSON."""
        return {
            "counts": self.counts.tolist(),
            "begun": self.initial_counts.tolist(),
            "capital": self.capital.as_dict(),
            "learned": self.histograms.tolist(),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> RankTest:
        """Return what `as_dict` wrote."""
        counts, begun = (np.array(raw[key], dtype=np.int64) for key in ("counts", "begun"))
        return cls(counts, begun, CapitalProcess.from_dict(raw["capital"]), np.array(raw["learned"]))
