"""Try linear models and boosted trees on a table, out of fold, and fit what answers best: one model or a few mixed.

Every configuration answers training rows that its fit had not seen, on the same folds; all choices, the mixture
and the calibration come from these answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rung.core.model import FitContext
from rung.modalities.tables.features import Cells
from rung.modalities.tables.fitted import MemberModel
from rung.training.tables.ebm import fit_additive
from rung.training.tables.lightgbm_trees import TreeFolds, fit_trees
from rung.training.tables.linear import fit_linear
from rung.training.tables.objective import Floats, Folds, Ints, TrainingTargets

# A mixture takes up to so many steps, and a step must lower the loss by this share.
_MAX_STEPS, _MIN_GAIN = 25, 3e-4
# Where rows are many, below effort 3, a step must bring more, since every member costs rows a second; and of candidates
# this near to the best the quickest to answer is taken.
MANY_ROWS, _MIN_GAIN_MANY_ROWS, _NEAR_BEST = 20_000, 1e-3, 2e-3
# Nor is a gain, whatever its share, that makes all the labels seen likelier by less than this factor's logarithm: where
# labels all but separate, shares are of nothing. For the same reason trees are added only while their last rounds make them
# likelier by the second.
_MIN_EVIDENCE, _MIN_EVIDENCE_OF_ROUNDS = 1.0, 0.3


@dataclass(frozen=True)
class ModelCandidate:
    """A configuration: its family ("linear", "additive" or "trees"), a name for the report, and its settings."""

    family: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateResult:
    """A candidate's answers to rows its fits had not seen, its loss on them, settings the folds decided, and what
    fitting them took."""

    candidate: ModelCandidate
    raw: Floats
    loss: float
    settings: Mapping[str, Any]
    seconds: float = 0.0


@dataclass(frozen=True)
class Ensemble:
    """The chosen candidates with their weights, and the mixture's own out-of-fold answers on `rows`."""

    members: tuple[tuple[CandidateResult, float], ...]
    raw: Floats
    rows: Ints
    loss: float
    tried: tuple[CandidateResult, ...]


def select_models(
    cells: Cells,
    goal: TrainingTargets,
    folds: Folds,
    candidates: Sequence[ModelCandidate],
    context: FitContext,
    mix: bool,
) -> Ensemble:
    """Return the best candidate, or with `mix` the best mixture (Caruana et al. 2004), by out-of-fold loss.

    folds: (train, test) rows of `cells`; tests may leave rows out. Candidates are tried in their order until the
    time is up; the first always is.
    """
    rows = np.concatenate([test for _, test in folds])
    truth = goal.take(rows)
    thrifty = context.effort < 3 and len(cells) > MANY_ROWS
    evident = thrifty and goal.codes is not None
    trees = TreeFolds(cells, goal, folds, context, _MIN_EVIDENCE_OF_ROUNDS / len(rows) if evident else 0.0)
    begun = time.monotonic()
    tried: list[CandidateResult] = []
    for candidate in candidates:
        started = time.monotonic()
        late = context.seconds is not None and time.monotonic() - begun > context.seconds / 3
        if tried and late:
            break
        if candidate.family == "trees":
            raw, settings = trees.out_of_fold_scores(candidate.settings)
        else:
            # One bag tells configurations apart; the final fit averages as many as are wanted.
            settings, fit = candidate.settings, _FITS[candidate.family]
            once = {**settings, "bags": 1}
            raw = np.vstack(
                [fit(cells.take(a), goal.take(a), once, context).raw(cells.take(b)) for a, b in folds]
            )
        tried.append(CandidateResult(candidate, raw, truth.loss(raw), settings, time.monotonic() - started))
    floor = _MIN_EVIDENCE / len(rows) if evident else 0.0
    kept = _drop_slower(tried, floor) if thrifty else tried
    if not mix:
        best = min(kept, key=lambda t: t.loss)
        return Ensemble(((best, 1.0),), best.raw, rows, best.loss, tuple(tried))
    members, raw = _ensemble_selection(kept, truth, _MIN_GAIN_MANY_ROWS if thrifty else _MIN_GAIN, floor)
    return Ensemble(members, raw, rows, truth.loss(raw), tuple(tried))


def _drop_slower(tried: Sequence[CandidateResult], floor: float) -> list[CandidateResult]:
    """Return candidates without those that answer more slowly than another one about as good as the best.

    floor: a difference in loss that says nothing.
    """

    def steps(one: CandidateResult) -> float:
        """Return about how many decisions a row takes; a linear model's count as none."""
        leaves = float(np.log2(one.settings.get("num_leaves", 15)))
        return float(one.settings.get("rounds", 0)) * leaves

    best = min(t.loss for t in tried)
    enough = best + max(best * _NEAR_BEST, floor)
    quickest = min((t for t in tried if t.loss <= enough), key=lambda t: (steps(t), t.loss))
    return [t for t in tried if t is quickest or t.loss > enough]


def _ensemble_selection(
    tried: Sequence[CandidateResult], truth: TrainingTargets, least: float, floor: float
) -> tuple[tuple[tuple[CandidateResult, float], ...], Floats]:
    """Return the members of a greedy mixture with replacement, and its answers. least, floor: the gain that a step must
    bring, as a share of the loss and as it is."""
    counts = [0] * len(tried)
    total = np.zeros_like(tried[0].raw)
    loss = np.inf
    for step in range(1, _MAX_STEPS + 1):
        losses = [truth.loss((total + t.raw) / step) for t in tried]
        best = int(np.argmin(losses))
        if step > 1 and losses[best] > loss - max(loss * least, floor):
            break
        counts[best] += 1
        total += tried[best].raw
        loss = losses[best]
    # A member of a twentieth part or less costs its price and moves nothing.
    counts = [n if n > 0.05 * sum(counts) else 0 for n in counts]
    steps = sum(counts)
    members = tuple((t, n / steps) for t, n in zip(tried, counts, strict=True) if n)
    return members, np.asarray(sum(weight * t.raw for t, weight in members))


def affordable_bags(mixture: Ensemble, folds: Folds, rows: int, spent: float, context: FitContext) -> int:
    """Return how many fits of each kind of trees to average: by effort, and what time allows where it is limited.

    spent: seconds since the fit began. A tenth of the time is left for the rest.
    """
    wanted = (1, 1, 1, 2, 4, 8)[context.effort]
    if context.seconds is None or wanted == 1:
        return wanted
    share = rows / max(sum(len(train) for train, _ in folds), 1)
    once = sum(t.seconds for t, _ in mixture.members if t.candidate.family == "trees") * share
    return max(min(wanted, int((0.9 * context.seconds - spent) / max(once, 1e-3))), 1)


def fit_member(
    cells: Cells, goal: TrainingTargets, member: CandidateResult, bags: int, context: FitContext
) -> MemberModel:
    """Return a chosen candidate fitted on all rows. bags: of trees that do not say themselves how many."""
    settings = {"bags": bags, **member.settings}
    return _FITS[member.candidate.family](cells, goal, settings, context)


_FITS: Mapping[str, Callable[..., MemberModel]] = {
    "linear": fit_linear,
    "additive": fit_additive,
    "trees": fit_trees,
}


def selection_summary(mixture: Ensemble) -> dict[str, Any]:
    """Return what a search chose, for report and card."""
    return {
        "mixture": {t.candidate.name: round(weight, 3) for t, weight in mixture.members},
        "search_loss": round(mixture.loss, 5),
        "search_rows": len(mixture.rows),
        "tried": {t.candidate.name: round(t.loss, 5) for t in mixture.tried},
    }
