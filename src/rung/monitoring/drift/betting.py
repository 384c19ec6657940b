"""Bets that change at an unknown time, mixed so that the capital of the mixture can be trusted for ever.

A gambler begins with capital 1 and bets against a null hypothesis, row by row, at odds that are fair under it. Each
factor f is nonnegative, was fixed before its row, and has mean at most 1 under the null; so her capital is a
nonnegative supermartingale, and by Ville's inequality the chance that it EVER reaches 1/a is at most a (Ville 1939;
Shafer & Vovk 2019). That holds at every stopping time: looking after every row, or whenever one likes, costs nothing.

*When does drift begin?* Unknown, and a gambler who bets from the first row on is ruined by a long quiet time. So of
the capital a part w(t) is released before row t, sum of all w(t) <= 1, and what is not yet released sleeps:

    C(t) = (C(t-1) + w(t)) f(t),      capital(t) = sleeping(t) + C(t).

A sum of supermartingales that share one history is one. With sleeping(t) = log c / log(c + t) a change at row T costs
about log T nats, whenever it comes. The released part is dealt evenly to several kinds of bets, which is again a sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_RELEASE_SCALE = 10.0


def log_release_weights(first: int, count: int) -> Floats:
    """Return log w(t) of rows first .. first + count - 1, counted from 0."""
    t = np.arange(first, first + count, dtype=np.float64)
    before, after = (
        math.log(_RELEASE_SCALE) / np.log(_RELEASE_SCALE + t),
        math.log(_RELEASE_SCALE) / np.log(_RELEASE_SCALE + t + 1),
    )
    found: Floats = np.log(before - after)
    return found


def unreleased_share(rows: int) -> float:
    """Return the part of the capital that is not at stake after so many rows."""
    return math.log(_RELEASE_SCALE) / math.log(_RELEASE_SCALE + rows)


@dataclass
class CapitalProcess:
    """The capital of one gambler. rows: how many she has bet on. log_bets: log C of each kind of bet.

    peak: the greatest log capital so far: the evidence, which a later quiet time does not take back. peak_row: when.
    """

    rows: int
    log_bets: Floats
    peak: float = 0.0
    peak_row: int = 0

    @classmethod
    def initial(cls, kinds: int) -> CapitalProcess:
        """Return the capital before the first row."""
        return cls(0, np.full(kinds, -np.inf))

    def update(self, log_factors: Floats) -> Floats:
        """Return the log capital after each row, and keep the last. log_factors: [rows, kinds of bets], log f."""
        n, kinds = log_factors.shape
        if n == 0:
            return np.empty(0)
        log_w = log_release_weights(self.rows, n)[:, None] - math.log(kinds)
        # C(t) = F(t) (C(0) + sum of w(k) / F(k-1)), F the running product of factors: one pass for all rows.
        running = np.cumsum(log_factors, axis=0)
        before = np.vstack([np.zeros(kinds), running[:-1]])
        terms = log_w - before
        terms[0] = np.logaddexp(terms[0], self.log_bets)
        active = running + np.logaddexp.accumulate(terms, axis=0)
        t = np.arange(self.rows + 1, self.rows + n + 1, dtype=np.float64)
        asleep = np.log(math.log(_RELEASE_SCALE) / np.log(_RELEASE_SCALE + t))
        found: Floats = np.logaddexp(asleep, np.logaddexp.reduce(active, axis=1))
        top = int(found.argmax())
        if found[top] > self.peak:
            self.peak, self.peak_row = float(found[top]), self.rows + top + 1
        self.rows += n
        self.log_bets = active[-1].copy()
        return found

    @property
    def log_capital(self) -> float:
        """Return the log capital after the last row."""
        return float(np.logaddexp(math.log(unreleased_share(self.rows)), np.logaddexp.reduce(self.log_bets)))

    def as_dict(self) -> dict[str, object]:
        """Return the capital as JSON; -inf, which JSON has not, is null."""
        bets = [None if math.isinf(value) else value for value in self.log_bets.tolist()]
        return {"rows": self.rows, "log_bets": bets, "peak": self.peak, "peak_row": self.peak_row}

    @classmethod
    def from_dict(cls, raw: dict[str, object]) -> CapitalProcess:
        """Return what `as_dict` wrote."""
        bets = [-np.inf if value is None else value for value in raw["log_bets"]]  # type: ignore[attr-defined]
        return cls(int(raw["rows"]), np.array(bets), float(raw["peak"]), int(raw["peak_row"]))  # type: ignore[call-overload, arg-type]
