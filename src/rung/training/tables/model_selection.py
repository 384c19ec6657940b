"""Compare linear models and boosted trees by out-of-fold loss, and select the best one or an ensemble.

Every candidate predicts training rows that its fit did not see, on the same folds. The selection, the
ensemble weights and the calibration use these predictions only.
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
from rung.training.tables.network import fit_network
from rung.training.tables.objective import Floats, Folds, Ints, TrainingTargets

# Ensemble selection takes at most this many steps; a step must lower the loss by this share.
_MAX_STEPS, _MIN_GAIN = 25, 3e-4
# With many rows and effort below 3 a step must gain more, since every member slows predictions; among
# candidates this close to the best one, the fastest is taken.
MANY_ROWS, _MIN_GAIN_MANY_ROWS, _NEAR_BEST = 20_000, 1e-3, 2e-3
# A gain must also raise the log-likelihood of all labels by this much: where labels are nearly separable,
# relative gains mean little. For the same reason trees are added only while the last rounds raise it by the
# second value.
_MIN_EVIDENCE, _MIN_EVIDENCE_OF_ROUNDS = 1.0, 0.3


@dataclass(frozen=True)
class ModelCandidate:
    """A candidate: its family ("linear", "additive" or "trees"), a name for the report, and its settings."""

    family: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateResult:
    """Out-of-fold raw scores of a candidate, their loss, the settings that the folds determined, and the fit
    time.
    """

    candidate: ModelCandidate
    raw: Floats
    loss: float
    settings: Mapping[str, Any]
    seconds: float = 0.0


@dataclass(frozen=True)
class Ensemble:
    """The selected candidates with their weights; raw scores and loss of the ensemble on `rows`, out of fold."""

    members: tuple[tuple[CandidateResult, float], ...]
    raw: Floats
    rows: Ints
    loss: float
    results: tuple[CandidateResult, ...]


def select_models(
    cells: Cells,
    y: TrainingTargets,
    folds: Folds,
    candidates: Sequence[ModelCandidate],
    context: FitContext,
    mix: bool,
) -> Ensemble:
    """Return the best candidate, or with `mix` the best ensemble (Caruana et al. 2004), by out-of-fold loss.

    folds: (train, test) rows of `cells`; tests may leave rows out. Candidates are tried in order until the
    time is up; the first one always is.
    """
    rows = np.concatenate([test for _, test in folds])
    truth = y.take(rows)
    many_rows = context.effort < 3 and len(cells) > MANY_ROWS
    needs_evidence = many_rows and y.codes is not None
    trees = TreeFolds(
        cells, y, folds, context, _MIN_EVIDENCE_OF_ROUNDS / len(rows) if needs_evidence else 0.0
    )
    begun = time.monotonic()
    results: list[CandidateResult] = []
    for number, candidate in enumerate(candidates, 1):
        started = time.monotonic()
        late = context.seconds is not None and time.monotonic() - begun > context.seconds / 3
        if results and late:
            break
        context.report(number, len(candidates))
        if candidate.family == "trees":
            raw, settings = trees.out_of_fold_scores(candidate.settings)
        else:
            # One bag is enough to compare candidates; the final fit averages as many as requested.
            settings, fit = candidate.settings, _FITS[candidate.family]
            once = {**settings, "bags": 1}
            raw = np.vstack(
                [fit(cells.take(a), y.take(a), once, context).raw(cells.take(b)) for a, b in folds]
            )
        results.append(CandidateResult(candidate, raw, truth.loss(raw), settings, time.monotonic() - started))
    floor = _MIN_EVIDENCE / len(rows) if needs_evidence else 0.0
    kept = _drop_slower(results, floor) if many_rows else results
    if not mix:
        best = min(kept, key=lambda t: t.loss)
        return Ensemble(((best, 1.0),), best.raw, rows, best.loss, tuple(results))
    members, raw = _ensemble_selection(kept, truth, _MIN_GAIN_MANY_ROWS if many_rows else _MIN_GAIN, floor)
    return Ensemble(members, raw, rows, truth.loss(raw), tuple(results))


def _drop_slower(results: Sequence[CandidateResult], floor: float) -> list[CandidateResult]:
    """Return the candidates without those that are slower than another one about as good as the best.

    floor: differences in loss below it are ignored.
    """

    def steps(one: CandidateResult) -> float:
        """Return about how many splits a row passes; 0 for a linear model."""
        leaves = float(np.log2(one.settings.get("num_leaves", 15)))
        return float(one.settings.get("rounds", 0)) * leaves

    best = min(t.loss for t in results)
    near_best = best + max(best * _NEAR_BEST, floor)
    fastest = min((t for t in results if t.loss <= near_best), key=lambda t: (steps(t), t.loss))
    return [t for t in results if t is fastest or t.loss > near_best]


def _ensemble_selection(
    results: Sequence[CandidateResult], truth: TrainingTargets, least: float, floor: float
) -> tuple[tuple[tuple[CandidateResult, float], ...], Floats]:
    """Return the members of a greedy ensemble, selected with replacement, and its raw scores.

    least, floor: the gain that a step must bring, relative to the loss and absolute.
    """
    counts = [0] * len(results)
    total = np.zeros_like(results[0].raw)
    loss = np.inf
    for step in range(1, _MAX_STEPS + 1):
        losses = [truth.loss((total + t.raw) / step) for t in results]
        best = int(np.argmin(losses))
        if step > 1 and losses[best] > loss - max(loss * least, floor):
            break
        counts[best] += 1
        total += results[best].raw
        loss = losses[best]
    # A member with a weight of 0.05 or less costs time and changes little.
    counts = [n if n > 0.05 * sum(counts) else 0 for n in counts]
    steps = sum(counts)
    members = tuple((t, n / steps) for t, n in zip(results, counts, strict=True) if n)
    return members, np.asarray(sum(weight * t.raw for t, weight in members))


def affordable_bags(ensemble: Ensemble, folds: Folds, rows: int, spent: float, context: FitContext) -> int:
    """Return how many fits of each kind of trees to average: by effort, bounded by the time limit.

    spent: seconds since the fit began. A tenth of the time is kept for the remaining steps.
    """
    wanted = (1, 1, 1, 2, 4, 8)[context.effort]
    if context.seconds is None or wanted == 1:
        return wanted
    share = rows / max(sum(len(train) for train, _ in folds), 1)
    once = sum(t.seconds for t, _ in ensemble.members if t.candidate.family == "trees") * share
    return max(min(wanted, int((0.9 * context.seconds - spent) / max(once, 1e-3))), 1)


def fit_member(
    cells: Cells, y: TrainingTargets, member: CandidateResult, bags: int, context: FitContext
) -> MemberModel:
    """Return a selected candidate fitted on all rows. bags: for trees that do not set their own number."""
    settings = {"bags": bags, **member.settings}
    return _FITS[member.candidate.family](cells, y, settings, context)


_FITS: Mapping[str, Callable[..., MemberModel]] = {
    "linear": fit_linear,
    "additive": fit_additive,
    "trees": fit_trees,
    "network": fit_network,
}


def selection_summary(ensemble: Ensemble) -> dict[str, Any]:
    """Return what the selection chose, for report and card."""
    return {
        "mixture": {t.candidate.name: round(weight, 3) for t, weight in ensemble.members},
        "search_loss": round(ensemble.loss, 5),
        "search_rows": len(ensemble.rows),
        "tried": {t.candidate.name: round(t.loss, 5) for t in ensemble.results},
    }
