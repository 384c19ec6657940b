"""Certify a packed bundle on rows that no choice has seen, and keep the books of every look.

Why the certificates are valid
------------------------------
*One look.* The bundle was fixed before its answers on the certification rows were seen, units are drawn
independently (or the claim says for which period), and every bound in `core.bounds` that is marked exact
satisfies P(bound > truth) <= alpha for every truth. Of several conditions each gets the full alpha: a wrong
"cleared" needs a wrong bound for some condition that truly fails, and that one alone has probability <= alpha.

*Many looks, and people who learn from them.* After a look somebody may change anything and look again. What
they do may depend on what earlier looks published, and on nothing else of these rows. So think of the tree of
transcripts: a node is the sequence of outcomes published so far, and at each node the next bundle and bar are
fixed before the rows are drawn. If node v is given error budget a(v) and the a(v) of the whole tree sum to at
most alpha, then by the union bound P(some published bound anywhere exceeds its truth) <= alpha, whatever the
people do. Three rules make the sum come out:

1. The j-th look gets 2**-j of what its node may spend.
2. A look publishes one of few outcomes: "failed", or "passed" with bounds rounded down to half points. With H
   such points from bar to the top there are H + 1 outcomes.
3. The outcomes of a look share what is left: "failed" takes half, each of the H passes 1/(2 H).

With T the product over earlier looks of 2 (failed) or 2 H (passed), look j gets alpha / (2**j T). At depth j
the weights 1/T of all nodes sum to at most 1, so the whole tree spends at most sum_j alpha / 2**j = alpha.
(Counting a failed look as one outcome only, T = 1, is valid for "cleared" being wrong but not for the
published number being too high: see docs/decisions/003-error-budget.md.)

*Which looks are earlier.* All that share a unit with these rows, found by the units' hashes, across builds,
products and changed files: certificate.lock remembers them. A look is written down before its outcome exists,
so a crash or kill cannot buy a free one, and looking at the same bundle again is no new look. A deleted lock
cannot be noticed; every report says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rung.core.lock import CertificateLock
from rung.core.metric import Metric
from rung.core.product import Condition
from rung.core.types import Prediction, Schema

STEP = 0.005
LOCK_NOTE = "Valid as long as certificate.lock is kept: a deleted lock forgets earlier looks, and that cannot be noticed."


@dataclass(frozen=True)
class Requirement:
    """A condition of the bar with the metric it speaks of."""

    condition: Condition
    metric: Metric


@dataclass(frozen=True)
class Look:
    """A look about to be taken: which it is among all at these rows, and the error it may spend."""

    number: int
    alpha: float
    record_id: int


@dataclass(frozen=True)
class Outcome:
    """What a look publishes: passed or not, and only if passed the rounded bounds, one a condition."""

    passed: bool
    look: Look
    published: tuple[float, ...]
    exact: tuple[bool, ...]
    rows: int
    units: int


def next_alpha(units: Sequence[str], lock: CertificateLock, confidence: float) -> float:
    """Return the error the next look at these rows could spend, without taking it."""
    return _alpha(lock.earlier(units), confidence)


def begin_look(
    units: Sequence[str],
    bundle: str,
    requirements: Sequence[Requirement],
    confidence: float,
    lock: CertificateLock,
) -> Look:
    """Return a look at these rows for this bundle, written into the lock before any answer is seen."""
    bar = [
        [r.condition.metric, "min" if r.condition.higher_is_better else "max", r.condition.level, confidence]
        for r in requirements
    ]
    record, earlier = lock.take(units, {"bundle": bundle, "bar": bar})
    return Look(len(earlier) + 1, _alpha(earlier, confidence), record["id"])


def certify(
    look: Look,
    requirements: Sequence[Requirement],
    truths: Sequence[Any],
    answers: Sequence[Prediction],
    units: Sequence[str],
    schema: Schema,
    lock: CertificateLock,
) -> Outcome:
    """Return whether the bundle's answers certify the bar, and write it into the lock before returning.

    answers: of the packed bundle, loaded in a fresh process. Nothing else of these rows is returned.
    """
    bounds = [r.metric.bound(truths, answers, schema, units, look.alpha) for r in requirements]
    passed = all(r.condition.met_by(b.value) for r, b in zip(requirements, bounds, strict=True))
    published: tuple[float, ...] = ()
    if passed:
        published = tuple(_rounded(r, b.value) for r, b in zip(requirements, bounds, strict=True))
    transcripts = 2 * math.prod(outcomes(r) for r in requirements) if passed else 2
    lock.settle(look.record_id, "passed" if passed else "failed", list(published) or None, transcripts)
    return Outcome(passed, look, published, tuple(b.exact for b in bounds), len(truths), len(set(units)))


def outcomes(requirement: Requirement) -> int:
    """Return H: how many different bounds a passing look at this condition could publish."""
    condition, metric = requirement.condition, requirement.metric
    if not (condition.higher_is_better and math.isfinite(metric.greatest)):
        return 1
    points = math.floor(metric.greatest / STEP + 1e-9) - math.floor(condition.level / STEP + 1e-9)
    return max(points, 0) + 1


def _rounded(requirement: Requirement, bound: float) -> float:
    """Return the bound rounded down to half points, never below the bar it has cleared."""
    level = requirement.condition.level
    if outcomes(requirement) == 1:
        return level
    return max(level, round(math.floor(bound / STEP + 1e-9) * STEP, 6))


def _alpha(earlier: Sequence[dict[str, Any]], confidence: float) -> float:
    # A look whose outcome was never settled has published nothing; it is counted like a failed one.
    shares = (math.log2(int(look.get("transcripts") or 2)) for look in earlier)
    halvings = len(earlier) + 1 + math.fsum(shares)
    # Beyond a thousand halvings nothing can pass any more; the floor only keeps the arithmetic finite.
    return float((1.0 - confidence) * 2.0 ** -min(halvings, 1_000.0))


def certificate(
    outcome: Outcome,
    requirements: Sequence[Requirement],
    confidence: float,
    split: dict[str, Any],
    grouped: bool,
) -> dict[str, Any]:
    """Return the certificate of a passed look as report, manifest and card show it."""
    conditions = [
        {"metric": r.condition.metric, "bound": bound, "level": r.condition.level, "exact": exact}
        for r, bound, exact in zip(requirements, outcome.published, outcome.exact, strict=True)
    ]
    words = " and ".join(
        f"{r.condition.metric} is {'at least' if r.condition.higher_is_better else 'at most'} {bound:g}"
        for r, bound in zip(requirements, outcome.published, strict=True)
    )
    of_what = "groups" if grouped else "different rows"
    period = " of the period after the cut-off" if split.get("by") == "time" else ""
    kind = "" if all(outcome.exact) else " (estimated by bootstrap, not exact)"
    return {
        "metric": conditions[0]["metric"],
        "bound": conditions[0]["bound"],
        "confidence": confidence,
        "rows": outcome.rows,
        "units": outcome.units,
        "looks": outcome.look.number,
        "alpha": outcome.look.alpha,
        "exact": all(outcome.exact),
        "conditions": conditions,
        "claim": f"with {confidence:.4g} confidence {words} on {of_what}{period} drawn like the "
        f"{outcome.units:,} that certified{kind}. {LOCK_NOTE}",
    }
