"""Capital process of a sequential test by betting that detects a change at an unknown time.

The process starts with capital 1 and bets against a null hypothesis, row by row. Each factor f is
nonnegative, fixed before its row, and has mean at most 1 under the null. The capital is therefore a
nonnegative supermartingale, and by Ville's inequality the probability that it EVER reaches 1/a is at most a
(Ville 1939; Shafer & Vovk 2019). This holds at every stopping time: checking after every row costs nothing.

The start of a drift is unknown, and a process that bets everything from the first row on loses its capital
before a late change. So a part w(t) of the capital is released before row t, the sum of all w(t) is at most
1, and the rest is not bet:

    C(t) = (C(t-1) + w(t)) f(t),      capital(t) = unreleased(t) + C(t).

A sum of supermartingales with the same history is a supermartingale. With unreleased(t) = log c / log(c + t),
a change at row T costs about log T nats. The released part is split evenly over several kinds of bets, which
is again a sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_RELEASE_SCALE = 10.0


def log_release_weights(first: int, count: int) -> Floats:
    """Return log w(t) for the rows first .. first + count - 1, counted from 0."""
    t = np.arange(first, first + count, dtype=np.float64)
    before, after = (
        math.log(_RELEASE_SCALE) / np.log(_RELEASE_SCALE + t),
        math.log(_RELEASE_SCALE) / np.log(_RELEASE_SCALE + t + 1),
    )
    found: Floats = np.log(before - after)
    return found


def unreleased_share(rows: int) -> float:
    """Return the share of the capital that is not released after `rows` rows."""
    return math.log(_RELEASE_SCALE) / math.log(_RELEASE_SCALE + rows)


@dataclass
class CapitalProcess:
    """The capital of one test. rows: number of rows so far. log_bets: log C of each kind of bet.

    peak: largest log capital so far, which is the evidence of the test; peak_row: its row.
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
        """Return the log capital after each row and keep the last. log_factors: [rows, kinds of bets], log f."""
        n, kinds = log_factors.shape
        if n == 0:
            return np.empty(0)
        log_w = log_release_weights(self.rows, n)[:, None] - math.log(kinds)
        # C(t) = F(t) (C(0) + sum of w(k) / F(k-1)), with F the running product of the factors: vectorised
        # over rows.
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
        """Return the capital as JSON; -inf becomes null."""
        bets = [None if math.isinf(value) else value for value in self.log_bets.tolist()]
        return {"rows": self.rows, "log_bets": bets, "peak": self.peak, "peak_row": self.peak_row}

    @classmethod
    def from_dict(cls, raw: dict[str, object]) -> CapitalProcess:
        """Return what `as_dict` wrote."""
        bets = [-np.inf if value is None else value for value in raw["log_bets"]]  # type: ignore[attr-defined]
        return cls(int(raw["rows"]), np.array(bets), float(raw["peak"]), int(raw["peak_row"]))  # type: ignore[call-overload, arg-type]
