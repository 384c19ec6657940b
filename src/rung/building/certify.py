"""Certify a packed bundle on rows that no choice has seen, and keep the books of every look.

Why the certificates are valid
------------------------------
*One look.* The bundle was fixed before its answers on the certification rows were seen, units are drawn
independently (or the claim says for which period), and every bound in `core.stats` that is marked exact
satisfies P(bound > truth) <= alpha for every truth. The look decides at its alpha and states the number at a
smaller error:

1. It passes if the bound of each of the K conditions, each at the full alpha, clears its level. If some level
   lies above its truth, the bound of that condition alone must be wrong: probability at most alpha.
2. What it publishes of a condition is its bound at alpha / (2 K), rounded down to half points, or the level if
   that is higher. If all truths reach their levels, some published number is too high with probability at
   most alpha / 2.

*Many looks, and people who learn from them.* After a look somebody may change anything and look again. What
they do may depend on what earlier looks published, and on nothing else of these rows. So think of the tree of
transcripts: a node is the sequence of outcomes published so far, and at each node the next bundle, bar and
choice of rows are fixed before the rows are drawn. Say a node has the budget B if the chance that it or a look
after it publishes a falsehood is at most B. A look with alpha = B / 2 keeps it, if "failed" passes on B / 2 and
each of the H different passes B / (4 H):

- Some level lies above its truth. Then every pass is a falsehood already, and what follows it costs nothing
  more: B / 2 for the look, B / 2 for what follows a failure.
- All truths reach their levels. Then the look errs with B / 4, and B / 2 + H * B / (4 H) is left for what
  follows.

Written out: look j spends alpha / (2**j T), where T is the product over earlier looks of 1 (failed) or 2 H
(passed; H counts the different lists of numbers it could have published). See docs/decisions/003-error-budget.md
for what simpler rules get wrong or cost.

*Which looks are earlier.* All that share a unit with these rows, found by the units' hashes, across builds,
products and changed files: certificate.lock remembers them. A look is written down before its outcome exists,
so a crash or kill cannot buy a free one, and looking at the same bundle, bar, rows and labels again is no new
look: the first outcome stands. What holds, then: looks that share rows with each other are all true together
with the stated confidence, and any single certificate is, whatever shares rows with whatever. A deleted lock
cannot be noticed; every report says so.

*Groups over time* (`certify: {groups: same}`). Customers, devices, series have rows before the cut-off, which train,
and rows after it, which certify. The model may have memorised every group, so groups are no draw from a population
that it has not seen, and the claim is not about other groups. It is about these N groups and this period:

- Fix all that was known before the look: the rows before the cut-off, when rows come, the model, and what the groups
  have in common in the period (a holiday, a price). Given that, let L_g be the mean value of the metric over the later
  rows of group g, and mu_g its expectation. The claim is a lower bound of mu = (mu_1 + ... + mu_N) / N.
- What is taken for granted: given the same, L_1 ... L_N are independent. So groups must not influence each other in the
  period, beyond what they have in common. The split keeps its part (`data.prepare.over_time`): which rows train, and
  which rows of a group certify, depends on no later row of another group. Rows of one group may depend on each other
  in any way, and a group may have any number of rows: only L_g counts.
- The L_g do not have the same distribution, and the bounds must not need it. Where each group has one row that is right
  or wrong: Clopper-Pearson, capped (`successes_lower`: Hoeffding 1956). Otherwise a mixture of constant stakes
  (`average_lower`: arithmetic and geometric means, Markov). The predictable stakes of `mean_lower` are not proven
  here, and fail where means fall in the order of the rows: `tests/stages/test_certify_over_time.py` has an example,
  and attacks the others. What has no mean of values per row (macro-F1, ROC-AUC, RMSE) is bootstrapped over groups.

*One series* (windows of a single series). Nothing makes its rows independent. Rows count in blocks as long as a window,
bounds are bootstrapped over blocks (Carlstein 1986; Kuensch 1989), marked `exact: false` and called estimated; with
fewer than 20 blocks there is no certificate.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError
from rung.core.metrics.base import Metric
from rung.core.metrics.scored import STEP, Sampling, ScoredRows, bound, sampling_of, weighs_units_alike
from rung.core.spec.bar import Condition
from rung.core.types import Examples, Prediction

LOCK_NOTE = "Valid as long as certificate.lock is kept: a deleted lock forgets earlier looks, and that cannot be noticed."


@dataclass(frozen=True)
class Requirement:
    """A condition of the bar with the metric it speaks of."""

    condition: Condition
    metric: Metric

    def __post_init__(self) -> None:
        # A bound speaks of the side that matters; held against the other side it would pass for nothing.
        if self.condition.higher_is_better != self.metric.higher_is_better:
            good, asked = ("high", "at_most") if self.metric.higher_is_better else ("low", "at_least")
            other = "at_least" if asked == "at_most" else "at_most"
            raise RungError(
                f"`{asked}` for {self.metric.name}, which is good when it is {good}",
                "bar",
                f"Write `{other}: {self.condition.level:g}`.",
            )


@dataclass(frozen=True)
class Population:
    """What a certificate speaks of. unit: rows, groups, users, documents, series, or blocks (of one series).

    period: it speaks of the period after the cut-off only. new: units that certify and have no earlier rows.
    """

    unit: str
    sampling: Sampling = "drawn"
    period: bool = False
    new: int = 0


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


def population_of(split: Mapping[str, Any], task_unit: str, grouped: bool, new: int = 0) -> Population:
    """Return what a certificate on rows of this split speaks of. task_unit: `Task.unit`; grouped: the data names groups."""
    sampling = sampling_of(split)
    if (split["by"] == "audit" and task_unit != "user") or (task_unit in {"row", "series"} and not grouped):
        # Audited requests carry no group: each is a unit of its own. Those of users name them: see `workflows.served_users`.
        return Population("blocks" if sampling == "blocks" else "rows", sampling, split["by"] == "time")
    names = {"user": "users", "document": "documents", "series": "series"}
    return Population(names.get(task_unit, "groups"), sampling, split["by"] == "time", new)


def next_alpha(units: Sequence[str], lock: CertificateLock, confidence: float) -> float:
    """Return the error the next look at these rows could spend, without taking it."""
    return _alpha(lock.earlier(units), confidence)


def begin_look(
    rows: Examples,
    bundle: str,
    requirements: Sequence[Requirement],
    confidence: float,
    lock: CertificateLock,
) -> Look:
    """Return a look at these rows for this bundle, written into the lock before any answer is seen."""
    what = _look(rows, bundle, requirements, confidence)
    record, earlier = lock.take(rows.units, what, lambda before: _alpha(before, confidence))
    return Look(len(earlier) + 1, record["alpha"], record["id"])


def is_known(
    rows: Examples,
    bundle: str,
    requirements: Sequence[Requirement],
    confidence: float,
    lock: CertificateLock,
) -> bool:
    """Return whether this look was taken before: `begin_look` then gives it back and spends nothing."""
    return lock.has(rows.units, _look(rows, bundle, requirements, confidence))


def _look(
    rows: Examples, bundle: str, requirements: Sequence[Requirement], confidence: float
) -> dict[str, Any]:
    """Return what makes two looks the same."""
    bar = [
        [r.condition.metric, "min" if r.condition.higher_is_better else "max", r.condition.level, confidence]
        for r in requirements
    ]
    return {"bundle": bundle, "bar": bar, "content": _content(rows)}


def certify(
    look: Look,
    requirements: Sequence[Requirement],
    rows: Examples,
    answers: Sequence[Prediction],
    lock: CertificateLock,
    sampling: Sampling = "drawn",
) -> Outcome:
    """Return whether the bundle's answers certify the bar, and write it into the lock before returning.

    answers: of the packed bundle, loaded in a fresh process. Nothing else of these rows is returned. A look
    that has its outcome already keeps it. sampling: how the units came about, see `core.metrics.scored.bound`.
    """
    answered = ScoredRows.of(rows, answers)
    bounds = [bound(r.metric, answered, look.alpha, sampling) for r in requirements]
    published: tuple[float, ...] = ()
    if all(r.condition.met_by(b.value) for r, b in zip(requirements, bounds, strict=True)):
        share = look.alpha / (2 * len(requirements))
        stated = [bound(r.metric, answered, share, sampling).value for r in requirements]
        published = tuple(_rounded(r, value) for r, value in zip(requirements, stated, strict=True))
    transcripts = 2 * math.prod(outcomes(r) for r in requirements) if published else 1
    record = lock.settle(look.record_id, "passed" if published else "failed", published, transcripts)
    exact = tuple(b.exact for b in bounds)
    passed, numbers = record["outcome"] == "passed", tuple(record["published"] or ())
    return Outcome(passed, look, numbers, exact, len(rows), len(set(rows.units)))


def _content(rows: Examples) -> str:
    """Return a hash of the rows, in any order: with other labels or other rows of a group it is a new look."""
    cells = zip(rows.units, rows.targets, *rows.inputs.values(), strict=True)
    as_json = json.JSONEncoder(ensure_ascii=False, default=str).encode
    lines = sorted(as_json(row) for row in cells)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def outcomes(requirement: Requirement) -> int:
    """Return H: how many different bounds a passing look at this condition could publish."""
    condition, metric = requirement.condition, requirement.metric
    if not (condition.higher_is_better and math.isfinite(metric.greatest)):
        return 1
    points = math.floor(metric.greatest / STEP + 1e-9) - math.floor(condition.level / STEP + 1e-9)
    return max(points, 0) + 1


def _rounded(requirement: Requirement, reached: float) -> float:
    """Return a bound rounded down to half points, never below the bar it has cleared."""
    level = requirement.condition.level
    if outcomes(requirement) == 1:
        return level
    return max(level, round(math.floor(reached / STEP + 1e-9) * STEP, 6))


def _alpha(earlier: Sequence[dict[str, Any]], confidence: float) -> float:
    # A look whose outcome was never settled has published nothing; it is counted like a failed one.
    shares = (math.log2(int(look.get("transcripts") or 1)) for look in earlier)
    halvings = len(earlier) + 1 + math.fsum(shares)
    # Beyond a thousand halvings nothing can pass any more; the floor only keeps the arithmetic finite.
    return float((1.0 - confidence) * 2.0 ** -min(halvings, 1_000.0))


def certificate(
    outcome: Outcome,
    requirements: Sequence[Requirement],
    confidence: float,
    population: Population,
    assumptions: str = "",
) -> dict[str, Any]:
    """Return the certificate of a passed look as report, manifest and card show it.

    assumptions: what the certificate assumes of the model.
    """
    conditions = [
        {
            "metric": r.condition.metric,
            "bound": number,
            "level": r.condition.level,
            "exact": exact,
            "weights": "units" if weighs_units_alike(r.metric) else "rows",
        }
        for r, number, exact in zip(requirements, outcome.published, outcome.exact, strict=True)
    ]
    words = " and ".join(
        f"{r.condition.metric} is {'at least' if r.condition.higher_is_better else 'at most'} {number:g}"
        for r, number in zip(requirements, outcome.published, strict=True)
    )
    exact = all(outcome.exact)
    claimed = _claimed(population, outcome.units, exact, conditions)
    return {
        "metric": conditions[0]["metric"],
        "bound": conditions[0]["bound"],
        "confidence": confidence,
        "rows": outcome.rows,
        "units": outcome.units,
        "looks": outcome.look.number,
        "alpha": outcome.look.alpha,
        "exact": exact,
        "of": population.unit,
        "period": population.period,
        "sampling": population.sampling,
        "new_units": population.new,
        "conditions": conditions,
        "claim": f"with {confidence:.4g} confidence {words} on {claimed} {LOCK_NOTE}"
        + (f" {assumptions}" if assumptions else ""),
    }


def _claimed(population: Population, units: int, exact: bool, conditions: Sequence[Mapping[str, Any]]) -> str:
    """Return what the numbers hold on, in words, and what is not claimed."""
    kind = "" if exact else " (estimated by bootstrap, not exact)"
    unit = population.unit
    if population.sampling == "blocks":
        return f"later stretches of this series like the {units:,} that certified{kind}."
    if population.sampling == "fixed":
        one = unit.removesuffix("s") if unit != "series" else unit
        new = f" {population.new:,} of them had no earlier rows." if population.new else ""
        return (
            f"later rows of the {units:,} {unit}, {_weighted(one, conditions)}, in the period after the cut-off{kind}.{new} "
            f"Nothing is claimed about other {unit}; {unit} are assumed not to influence each other in that period."
        )
    of_what = "distinct new rows" if unit == "rows" else f"new {unit}, {_weighted('', conditions)},"
    period = " of the period after the cut-off" if population.period else ""
    return f"{of_what}{period} from the same distribution as the {units:,} held-out {unit}{kind}."


def _weighted(unit: str, conditions: Sequence[Mapping[str, Any]]) -> str:
    """Return how much each unit counts, in words. unit: its name, where the words before do not give it."""
    each = f"each {unit}".strip()
    by_rows = [condition["metric"] for condition in conditions if condition["weights"] == "rows"]
    if len(by_rows) == len(conditions):
        return f"{each} weighted by its number of rows"
    return f"{each} weighted equally" + (
        f" (for {' and '.join(by_rows)} by its number of rows)" if by_rows else ""
    )
