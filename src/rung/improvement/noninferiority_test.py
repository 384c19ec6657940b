"""May the challenger take the champion's place? Paired checks on the same rows, and how their error is spent for life.

What is claimed
---------------
Both models answer the same rows; a row's *gain* is what the challenger's answer is worth there minus what the
champion's is, as a share of the metric's range: for accuracy -1, 0 or 1. A check passes when the mean gain is shown to lie above minus
the margin: where a row is right or wrong, by an exact test of what was won and lost (`core.stats.noninferiority`); else, and
beyond 5,000 rows, by an exact lower bound of the mean (`mean_lower`, a betting bound). The groups of a product that certifies
groups over time need not be alike: on its old rows by `average_lower`, which does not need it. Which of them is settled by metric and units,
before any answer. Two checks must pass, after the certificate itself (`building.certify`) has:

*fresh*: rows of a random audit of what was served lately, at which nobody looked before. *reused*: the product's old
certification rows, so that what is new is not learned at the price of what was known; they were looked at before, and
are called reused.

With the stated confidence **no improvement of the product's whole life** passes the fresh check though it is worse than
the champion by more than the margin on rows like the fresh ones; and the same, separately, of the reused ones.

Why it holds
------------
*Fresh.* Champion and challenger are fixed before the rows' labels meet any answer, and each round of rows is used once. So
whatever was published before, check j errs with at most its own error, and errors a / (j (j + 1)) sum to a over any
number of improvements. A climb may look several times at the same rows: rung after rung is certified there until one
passes, and the challenger is the one that does. Which one that is depends on how often a look failed: if k did, the check
gets the share 3/4 * 4**-k, and these shares sum to 1 over k. (What the passing look publishes changes nothing: the
challenger is fixed by then.)

*Reused.* The same rows every time, so what a challenger is may depend on what earlier checks published: passed or not,
nothing else. Think of the tree of these outcomes, with the budget B at a node: B / 2 is spent on its check, and B / 2 is
left after either outcome. If the challenger is worse by more than the margin, passing is the error already, and what
follows it costs nothing more: B / 2 + B / 2. If it is not, the check cannot err, and what follows the two outcomes errs
with at most B / 2 + B / 2. So check m spends a / 2**m, whatever came out before (`building.certify` has the same tree with
numbers in it). What certificates once published of these rows is *not* in the tree: that nobody steers challengers by
those numbers is taken for granted, and said. In turn each check halves what certificates on these rows may still spend.

*No sliding.* Ten challengers that each lose almost a margin would lose ten of them. What stops that is the certificate: each
one proves the bar again, on rows nobody had seen.

Which rows are fresh is not for this module to judge: see `loop.rounds`. `tests/loop/test_lifetimes_simulation.py` attacks
all this, and shows what happens when queue picks stand in for random rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError
from rung.core.metrics.base import MeanMetric, Metric, per_unit
from rung.core.metrics.scored import ScoredRows, values
from rung.core.stats.confidence_bounds import average_exceeds, mean_exceeds
from rung.core.stats.noninferiority import MOST_ROWS, no_worse

FloatArray = npt.NDArray[np.float64]
FRESH, REUSED = "fresh", "reused"
Method = Literal["counts", "mean", "average"]


@dataclass(frozen=True)
class Comparison:
    """Who is compared: versions of the packed bundles. margin: a share of the metric's range. confidence: of the whole life.
    binary: an answer is right or wrong, nothing between."""

    product: str
    metric: str
    champion: str
    challenger: str
    margin: float
    confidence: float
    is_binary: bool = False


@dataclass(frozen=True)
class NoninferiorityResult:
    """What a paired check publishes. number: which of its kind in the product's life. rows_needed: that would do at this error if
    both models answered alike: known before any answer."""

    kind: str
    passed: bool
    number: int
    alpha: float
    rows: int
    rows_needed: int


def row_scores(metric: MeanMetric, rows: ScoredRows) -> FloatArray:
    """Return what each answer is worth as a share of the metric's range: 1 is best."""
    width = metric.greatest - metric.least
    found = (values(metric, rows) - metric.least) / width
    return np.asarray((found if metric.higher_is_better else 1.0 - found).clip(0.0, 1.0), np.float64)


def is_comparable(metric: Metric) -> bool:
    """Return whether answers can be compared row by row: a mean of values whose range is known."""
    return isinstance(metric, MeanMetric) and math.isfinite(metric.greatest - metric.least)


def fresh_alpha(pair: Comparison, earlier_of_product: int, failed_looks: int) -> float:
    """Return the error of a check on fresh rows: see the head of this module."""
    j = earlier_of_product + 1
    return (1.0 - pair.confidence) / (j * (j + 1)) * 0.75 * 4.0 ** -min(failed_looks, 200)


def reused_alpha(pair: Comparison, earlier_on_rows: int) -> float:
    """Return the error of a check on rows that earlier checks have used."""
    return float((1.0 - pair.confidence) * 2.0 ** -min(earlier_on_rows + 1, 1_000))


def noninferiority_test(
    kind: str,
    pair: Comparison,
    units: Sequence[str],
    scores: tuple[FloatArray, FloatArray],
    lock: CertificateLock,
    over_time: bool = False,
) -> NoninferiorityResult:
    """Return whether the challenger is shown to be no worse than the champion by more than the margin.

    worth: `shares` of the champion's and of the challenger's answers on the same rows. The check is written into the
    lock before its outcome exists; asked again, the first outcome stands. over_time: units are observed over a stretch
    of time and need not be alike. Raises RungError without rows.
    """
    if not len(units):
        raise RungError(
            f"there are no {kind} rows to compare on", pair.product, "Build with a certificate first."
        )
    what = {
        "bundle": pair.challenger,
        "bar": [[f"paired {kind}", pair.metric, pair.margin, pair.confidence]],
        "content": _content_hash(pair, units, scores),
        "product": pair.product,
    }

    def is_one(look: dict[str, Any], sort: str) -> bool:
        return look.get("product") == pair.product and look["bar"][0][0] == f"paired {sort}"

    lived = sum(is_one(look, kind) for look in lock.looks())

    def spend(earlier: list[dict[str, Any]]) -> float:
        if kind == REUSED:
            return reused_alpha(pair, sum(is_one(look, REUSED) for look in earlier))
        # All looks of the climb but the one that let this challenger through.
        failed = [look for look in earlier if look["bundle"] != pair.challenger]
        return fresh_alpha(pair, lived, len(failed))

    record, _ = lock.take(units, what, spend)
    number = 1 + sum(is_one(look, kind) for look in lock.looks() if look["id"] < record["id"])
    alpha = float(record["alpha"])
    gains = per_unit(scores[1] - scores[0], units).clip(-1.0, 1.0)
    method: Method = (
        "average" if over_time else "counts" if pair.is_binary and len(gains) == len(units) else "mean"
    )
    passed = _is_noninferior(gains, pair.margin, alpha, method)
    record = lock.settle(record["id"], "passed" if passed else "failed", (), 1)
    passed = record["outcome"] == "passed"
    return NoninferiorityResult(
        kind, passed, number, alpha, len(gains), rows_needed(pair.margin, alpha, method)
    )


def _is_noninferior(gains: FloatArray, margin: float, alpha: float, method: Method) -> bool:
    """Return whether gains show a mean above minus the margin.

    method: counts, of gains that are -1, 0 or 1 by their nature; mean; average, where their means differ.
    """
    if method == "average":
        return average_exceeds(gains, -margin, -1.0, 1.0, alpha)
    if method == "counts" and len(gains) <= MOST_ROWS:
        won, lost = int((gains > 0.5).sum()), int((gains < -0.5).sum())
        return no_worse(won, lost, len(gains), margin, alpha)
    return mean_exceeds(gains, -margin, -1.0, 1.0, alpha)


@lru_cache(maxsize=1_000)
def rows_needed(margin: float, alpha: float, method: Method = "mean", most: int = 10_000_000) -> int:
    """Return the fewest rows that pass when both models answer every one of them alike. method: see `_is_noninferior`."""

    def enough(n: int) -> bool:
        return _is_noninferior(np.zeros(n), margin, alpha, method)

    high = 1
    while not enough(high):
        high *= 2
        if high > most:
            return most
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _content_hash(pair: Comparison, units: Sequence[str], scores: tuple[FloatArray, FloatArray]) -> str:
    """Return a hash of what is compared: the champion, the rows, and what both answers are worth there."""
    digest = hashlib.sha256(pair.champion.encode())
    for unit, one, other in sorted(zip(units, scores[0].tolist(), scores[1].tolist(), strict=True)):
        digest.update(f"\n{unit} {one:.9g} {other:.9g}".encode())
    return digest.hexdigest()[:16]
