"""Paired non-inferiority tests of challenger against champion, with an error budget for all improvements.

What is claimed
---------------
Both models answer the same rows. The *gain* of a row is the challenger's score minus the champion's, as a
share of the metric's range: -1, 0 or 1 for accuracy. A test passes when the mean gain is shown to exceed
minus the margin. For scores that are 0 or 1 this is an exact test of wins and losses
(`core.stats.noninferiority`); for other scores, and beyond 5,000 rows, an exact lower bound of the mean
(`mean_lower`, a betting bound). The groups of a product that certifies groups over time may have different
means: on its old rows `average_lower` is used, which allows this. It is also used for the windows of a single
series, but nothing makes these independent: the test is then marked `exact: false`. Metric and units
determine the method, before any answer. Two tests must pass, after the certificate (`building.certify`):

*fresh*: rows of a random audit of recently served rows, which nobody has looked at before. *reused*: the
product's old certification rows, so that the model does not lose what it knew. They were looked at before,
hence the name.

With the stated confidence, **no improvement in the product's whole life** passes the fresh test although it
is worse than the champion by more than the margin on rows like the fresh ones; and, separately, the same
holds for the reused rows.

Why it holds
------------
*Fresh.* Champion and challenger are fixed before the labels of the rows are compared with any answer, and
each round is used once. So, whatever was published before, test j errs with at most its own error, and the
errors a / (j (j + 1)) sum to a over any number of improvements. A build may look several times at the same
rows: it certifies rung after rung until one passes, and that one is the challenger. Which rung it is depends
on the number of failed looks: after k of them the test gets the share 3/4 * 4**-k, and these shares sum to 1
over k. (What the passing look publishes does not matter, because the challenger is fixed by then.)

*Reused.* The rows are the same every time, so a challenger may depend on what earlier tests published: passed
or failed, nothing else. Consider the tree of these outcomes with budget B at a node: B / 2 is spent on its
test, and B / 2 is left after either outcome. If the challenger is worse by more than the margin, passing is
an error already, and errors after that cost nothing more: B / 2 + B / 2. If it is not, the test cannot err,
and the errors after the two outcomes sum to at most B / 2 + B / 2. So test m spends a / 2**m, whatever the
earlier outcomes were (`building.certify` has the same tree with numbers in it). What certificates published
about these rows is *not* in the tree: it is assumed, and stated, that nobody chooses challengers by those
numbers. In turn, each test halves what certificates on these rows may still spend.

*No gradual decline.* Ten challengers that each lose almost a margin would lose ten margins. The certificate
prevents this: each challenger proves the bar again, on rows that nobody has seen.

This module does not decide which rows are fresh: see `improvement.audit_rounds`.
`test_lifetimes_simulation.py` attacks these claims in simulations, and shows what happens when selected rows
are used instead of random ones.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError
from rung.core.metrics.base import MeanMetric, Metric, per_unit
from rung.core.metrics.scored import Sampling, ScoredRows, values
from rung.core.stats.confidence_bounds import average_exceeds, mean_exceeds
from rung.core.stats.noninferiority import MOST_ROWS, no_worse

FloatArray = npt.NDArray[np.float64]
FRESH, REUSED = "fresh", "reused"
Method = Literal["counts", "mean", "average"]


@dataclass(frozen=True)
class Comparison:
    """What is compared. champion, challenger: versions of the packed bundles. margin: as a share of the
    metric's range. confidence: of the whole life. is_binary: scores are 0 or 1.
    """

    product: str
    metric: str
    champion: str
    challenger: str
    margin: float
    confidence: float
    is_binary: bool = False


@dataclass(frozen=True)
class NoninferiorityResult:
    """What a test publishes. number: of this kind in the product's life. rows_needed: rows that suffice at
    this error if both models give the same answers, which is known before any answer.
    """

    kind: str
    passed: bool
    number: int
    alpha: float
    rows: int
    rows_needed: int
    exact: bool = True


def row_scores(metric: MeanMetric, rows: ScoredRows) -> FloatArray:
    """Return the score of each row, scaled to [0, 1] by the metric's range; 1 is best."""
    width = metric.greatest - metric.least
    found = (values(metric, rows) - metric.least) / width
    return np.asarray((found if metric.higher_is_better else 1.0 - found).clip(0.0, 1.0), np.float64)


def is_comparable(metric: Metric) -> bool:
    """Return whether the metric is a mean over rows of values with a known range."""
    return isinstance(metric, MeanMetric) and math.isfinite(metric.greatest - metric.least)


def fresh_alpha(comparison: Comparison, earlier_of_product: int, failed_looks: int) -> float:
    """Return the error of a test on fresh rows: see the docstring of this module."""
    j = earlier_of_product + 1
    return (1.0 - comparison.confidence) / (j * (j + 1)) * 0.75 * 4.0 ** -min(failed_looks, 200)


def fresh_rows_for_equal(product: str, margin: float, confidence: float, lock: CertificateLock) -> int:
    """Return how many fresh rows the next test of a product needs to pass a challenger that answers all of them alike.

    It depends on earlier tests and on nothing of the rows. A challenger that is right where the champion is wrong passes with fewer:
    three such rows of 46 and none the other way, at a margin of 0.02.
    """
    j = 1 + sum(_is_test(look, product, FRESH) for look in lock.looks())
    alpha = (1.0 - confidence) / (j * (j + 1)) * 0.75
    return rows_needed(margin, alpha, "counts")


def _is_test(look: Mapping[str, Any], product: str, kind: str) -> bool:
    return bool(look.get("product") == product and look["bar"][0][0] == f"paired {kind}")


def reused_alpha(comparison: Comparison, earlier_on_rows: int) -> float:
    """Return the error of a test on rows that earlier tests have used."""
    return float((1.0 - comparison.confidence) * 2.0 ** -min(earlier_on_rows + 1, 1_000))


def noninferiority_test(
    kind: str,
    comparison: Comparison,
    units: Sequence[str],
    scores: tuple[FloatArray, FloatArray],
    lock: CertificateLock,
    sampling: Sampling = "drawn",
) -> NoninferiorityResult:
    """Test whether the challenger is worse than the champion by at most the margin.

    kind: FRESH or REUSED. scores: `row_scores` of the champion and of the challenger on the same rows. The
    test is recorded in the lock before its outcome exists; a repeated test returns the first outcome.
    sampling: see `core.metrics.scored.bound`. Raises RungError without rows.
    """
    if not len(units):
        raise RungError(
            f"there are no {kind} rows to compare on", comparison.product, "Build with a certificate first."
        )
    what = {
        "bundle": comparison.challenger,
        "bar": [[f"paired {kind}", comparison.metric, comparison.margin, comparison.confidence]],
        "content": _content_hash(comparison, units, scores),
        "product": comparison.product,
    }

    product = comparison.product
    n_earlier = sum(_is_test(look, product, kind) for look in lock.looks())

    def spend(earlier: list[dict[str, Any]]) -> float:
        if kind == REUSED:
            return reused_alpha(comparison, sum(_is_test(look, product, REUSED) for look in earlier))
        # All looks of the build except the one that this challenger passed.
        failed = [look for look in earlier if look["bundle"] != comparison.challenger]
        return fresh_alpha(comparison, n_earlier, len(failed))

    record, _ = lock.take(units, what, spend)
    number = 1 + sum(_is_test(look, product, kind) for look in lock.looks() if look["id"] < record["id"])
    alpha = float(record["alpha"])
    gains = per_unit(scores[1] - scores[0], units).clip(-1.0, 1.0)
    method: Method = (
        "average"
        if sampling != "drawn"
        else "counts"
        if comparison.is_binary and len(gains) == len(units)
        else "mean"
    )
    passed = _is_noninferior(gains, comparison.margin, alpha, method)
    record = lock.settle(record["id"], "passed" if passed else "failed", (), 1)
    passed = record["outcome"] == "passed"
    return NoninferiorityResult(
        kind,
        passed,
        number,
        alpha,
        len(gains),
        rows_needed(comparison.margin, alpha, method),
        exact=sampling != "blocks",
    )


def _is_noninferior(gains: FloatArray, margin: float, alpha: float, method: Method) -> bool:
    """Return whether the gains show a mean above minus the margin.

    method: counts, for gains that are -1, 0 or 1; mean; average, for gains with different means.
    """
    if method == "average":
        return average_exceeds(gains, -margin, -1.0, 1.0, alpha)
    if method == "counts" and len(gains) <= MOST_ROWS:
        won, lost = int((gains > 0.5).sum()), int((gains < -0.5).sum())
        return no_worse(won, lost, len(gains), margin, alpha)
    return mean_exceeds(gains, -margin, -1.0, 1.0, alpha)


@lru_cache(maxsize=1_000)
def rows_needed(margin: float, alpha: float, method: Method = "mean", most: int = 10_000_000) -> int:
    """Return the fewest rows that pass if both models give the same answers. method: see `_is_noninferior`."""

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


def _content_hash(comparison: Comparison, units: Sequence[str], scores: tuple[FloatArray, FloatArray]) -> str:
    """Return a hash of the comparison: the champion, the rows, and the scores of both models."""
    digest = hashlib.sha256(comparison.champion.encode())
    for unit, one, other in sorted(zip(units, scores[0].tolist(), scores[1].tolist(), strict=True)):
        digest.update(f"\n{unit} {one:.9g} {other:.9g}".encode())
    return digest.hexdigest()[:16]
