"""Conformal test martingale over bins: do served rows have the distribution of the reference?

Null hypothesis: the values of one statistic in the reference and in the stream are exchangeable, which holds
for rows drawn independently from one distribution. Nothing else is assumed about the distribution.

Each value is a bin 0 .. K-1, given by a function that was fitted on OTHER rows (see `statistics`). The bag
contains the bins of the reference and of all stream rows so far, including the current one. With U uniform on
(0, 1) and new for each row, the conformal p-value is

    v = (rows of the bag in lower bins + U * rows of the bag in this bin, itself included) / rows of the bag.

Under the null v(1), v(2), ... are independent and uniform on (0, 1) (Vovk, Gammerman & Shafer 2005, theorem
8.2; Vovk, Nouretdinov & Gammerman 2003), **for every size of the reference, including 0**: each new row joins
the bag before it is ranked, so the estimation error of the reference does not matter. Ranking against the
reference alone would be wrong: these v depend on each other through the reference, and a long stream would
alarm at the error of a small one.

Each bet is a density on (0, 1) that is fixed before its row. Its integral is 1, so the factor has mean 1
under the null. Linear densities detect shifts, power densities detect rows at either end, two symmetric
densities detect changes of spread, and two histogram densities, of the last few hundred or few thousand v,
detect any change, of categories too.
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
# Histogram bets: cells, memories in rows, rows between two updates, share of the bet that follows the
# histogram.
_CELLS, _MEMORIES, _BLOCK, _SHARE = 10, (150.0, 1_500.0), 10, 0.9
N_BETS = len(_LINEAR_SLOPES) + 2 * len(_POWERS) + 2 + len(_MEMORIES)
# Bin of a row that has no value.
MISSING = -1


@dataclass
class RankTest:
    """The test of one statistic.

    counts: rows of the bag in each bin. initial_counts: the same before the stream.

    histograms: [memories, cells], weights of the histogram bets.
    """

    counts: Ints
    initial_counts: Ints
    capital: CapitalProcess = field(default_factory=lambda: CapitalProcess.initial(N_BETS))
    histograms: Floats = field(default_factory=lambda: np.ones((len(_MEMORIES), _CELLS)))

    @classmethod
    def from_counts(cls, reference: npt.ArrayLike) -> RankTest:
        """Return a test against the counts of a reference in each bin; only zeros mean no reference."""
        counts = np.asarray(reference, dtype=np.int64)
        return cls(counts.copy(), counts.copy())

    def update(self, bins: Ints, uniform: Floats) -> Floats:
        """Return the log capital after each row; a row without a value (MISSING) does not change it.

        bins: of the rows, in the order of arrival. uniform: as many new random numbers in (0, 1).
        """
        has = np.flatnonzero(bins != MISSING)
        before = self.capital.log_capital
        after = self.capital.update(self._log_factors(self._p_values(bins[has], uniform[has])))
        # For each row, the capital after the latest row that had a value.
        return np.concatenate([[before], after])[np.searchsorted(has, np.arange(len(bins)), side="right")]

    def _p_values(self, bins: Ints, uniform: Floats) -> Floats:
        """Return v of each row. Every row joins the bag before it is ranked."""
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
        """Return the log factor of each bet: [rows, N_BETS]."""
        ends = 2 * np.minimum(v, 1 - v)
        fixed = [np.log1p(slope * (2 * v - 1)) for slope in _LINEAR_SLOPES]
        fixed += [math.log(k) + (k - 1) * np.log(side) for k in _POWERS for side in (v, 1 - v)]
        fixed += [math.log(0.5) - 0.5 * np.log(ends), np.log1p(0.9 * (2 * ends - 1))]
        return np.column_stack([*fixed, *self._histogram_bets(v)])

    def _histogram_bets(self, v: Floats) -> list[Floats]:
        """Return the log factors of the histogram bets.

        A block is bet on with the histogram of earlier blocks.
        """
        cells = np.minimum((v * _CELLS).astype(np.int64), _CELLS - 1)
        found = [np.empty(len(v)) for _ in _MEMORIES]
        for begin in range(0, len(v), _BLOCK):
            block = cells[begin : begin + _BLOCK]
            for nth, memory in enumerate(_MEMORIES):
                weights = self.histograms[nth]
                density = (1 - _SHARE) + _SHARE * _CELLS * weights / weights.sum()
                found[nth][begin : begin + _BLOCK] = np.log(density[block])
                kept = math.exp(-len(block) / memory)
                # The initial weight of 1 per cell never decays, so that no density is ever 0.
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
