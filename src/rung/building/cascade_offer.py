"""Propose a cascade of two rungs where it lies on the Pareto front: no rung is as good and as cheap.

Everything here reads answers to training rows that the answering model had not learned from. The thresholds of a proposal are
chosen on one half of them and scored on the other, in turn, so its score is no better than a cascade's own trial would be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core import registry
from rung.core.folds import assign_folds
from rung.core.metrics import scored
from rung.core.metrics.base import Metric
from rung.core.metrics.scored import ScoredRows
from rung.core.model import Rung
from rung.core.types import Examples, Prediction
from rung.training.cascade.held_out_answers import HeldOutAnswers

_NAME = "cascade"
# What is lost against the dear rung, and the other points of the curve.
WITHIN = 0.005
_CURVE = (0.0, 0.0025, WITHIN, 0.01, 0.02, 0.04)
# Fewer held-out rows than these choose no threshold.
_FEWEST_ROWS = 100
# A gain over the best rung that is no dearer counts from so many standard errors on.
_ERRORS = 1.645

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidate:
    """A measured rung that may be a stage: its family and parameters, price of 1,000 answers and answers held out."""

    name: str
    family: str
    params: Mapping[str, Any]
    usd_per_1k: float
    answers: HeldOutAnswers


@dataclass(frozen=True)
class _Pair:
    """Two candidates with what a cascade of them reached: share handed on, price, score, and the value of each answer."""

    cheap: Candidate
    dear: Candidate
    within: float
    handed: float
    usd_per_1k: float
    score: float
    answered: npt.NDArray[np.int64]
    signals: tuple[str, ...]


def candidate(rung: Rung, trial: Mapping[str, Any], answers: HeldOutAnswers | None) -> Candidate | None:
    """Return a measured rung as a possible stage; None where it cannot be one."""
    family, params = rung.model, rung.params
    if registry.model(family).PLACE == "before":
        # What stands behind the known answers is the stage; the cascade will stand behind them as well.
        given = dict(params.params)
        family = str(params.then)
    else:
        given = _given(params)
    sound = trial["status"] != "failed" and not trial["differing"] and not trial["is_floor"]
    if not sound or answers is None or family in {_NAME, "ensemble"}:
        return None
    return Candidate(rung.name, family, given, float(trial["usd_per_1k"]), answers)


def offer(
    candidates: Sequence[Candidate], train: Examples, metric: Metric, indifferent_usd_per_1k: float
) -> dict[str, Any] | None:
    """Return the best cascade on the Pareto front, with the curve of what it costs; None where none lies there.

    indifferent_usd_per_1k: prices that differ by less count as equal.
    """
    rows = _shared_rows(candidates)
    if metric.reads_inputs or len(rows) < _FEWEST_ROWS:
        return None
    at = _Rows(train, rows, metric)
    found = [
        Candidate(c.name, c.family, c.params, c.usd_per_1k, c.answers.at(rows))
        for c in sorted(candidates, key=lambda c: c.usd_per_1k)
    ]
    alone = [(c, at.score(c.answers.answered, c.answers.probabilities)) for c in found]
    front = [
        (c, score) for i, (c, score) in enumerate(alone) if all(at.better(score, other) for _, other in alone[:i])
    ]  # fmt: skip
    pairs = [
        at.pair(cheap, dear, WITHIN)
        for i, (cheap, _) in enumerate(front)
        for dear, _ in front[i + 1 :]
        if cheap.family != dear.family
    ]
    good = [pair for pair in pairs if _on_front(pair, alone, at, indifferent_usd_per_1k)]
    if not good:
        return None
    best = max(good, key=lambda pair: (at.sign * pair.score, -pair.usd_per_1k))
    scores = {c.name: score for c, score in alone}
    return _told(best, [at.pair(best.cheap, best.dear, within) for within in _CURVE], scores, len(rows))


class _Rows:
    """The held-out rows that all candidates answered."""

    def __init__(self, train: Examples, rows: npt.NDArray[np.int64], metric: Metric) -> None:
        taken = train.take(rows.tolist())
        self._metric, self._schema = metric, train.schema
        self._truths, self._units = list(taken.targets), list(taken.units)
        number = {label: place for place, label in enumerate(train.schema.labels)}
        self.truth = np.array([number[str(target)] for target in self._truths])
        self._half = assign_folds(2, self._units, [str(target) for target in self._truths])
        self.sign = 1.0 if metric.higher_is_better else -1.0

    def better(self, score: float, other: float) -> bool:
        return self.sign * score > self.sign * other

    def score(self, answered: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]) -> float:
        labels = self._schema.labels
        answers = [
            Prediction(labels[place], float(row[place]), extra={"probabilities": row})
            for place, row in zip(answered.tolist(), probabilities, strict=True)
        ]
        return scored.mean_over_units(
            self._metric, ScoredRows(self._truths, answers, self._schema, self._units, {})
        )

    def pair(self, cheap: Candidate, dear: Candidate, within: float) -> _Pair:
        """Return what a cascade reaches on each half, with its threshold chosen on the other."""
        from rung.training.cascade.thresholds import choose

        own, later = cheap.answers.answered == self.truth, dear.answers.answered == self.truth
        kept = np.ones(len(own), dtype=bool)
        signals = []
        for half in (0, 1):
            learn, test = self._half != half, self._half == half
            rule = choose(cheap.answers.probabilities[learn], own[learn], later[learn], within).rule
            kept[test] = rule.keeps(cheap.answers.probabilities[test])
            signals.append(rule.signal)
        answered = np.where(kept, cheap.answers.answered, dear.answers.answered)
        rows = np.where(kept[:, None], cheap.answers.probabilities, dear.answers.probabilities)
        handed = float((~kept).mean())
        usd = cheap.usd_per_1k + handed * dear.usd_per_1k
        return _Pair(cheap, dear, within, handed, usd, self.score(answered, rows), answered, tuple(signals))


def _on_front(pair: _Pair, alone: Sequence[tuple[Candidate, float]], rows: _Rows, indifferent: float) -> bool:
    """Return whether no rung is both as good and as cheap, the gain over the cheaper ones being more than noise."""
    if pair.usd_per_1k > pair.dear.usd_per_1k - indifferent or not 0.0 < pair.handed < 1.0:
        return False
    right = pair.answered == rows.truth
    for one, score in alone:
        if one.usd_per_1k <= pair.usd_per_1k + indifferent:
            gain = right.astype(np.float64) - (one.answers.answered == rows.truth)
            error = float(gain.std()) / math.sqrt(len(gain))
            if not rows.better(pair.score, score) or float(gain.mean()) <= _ERRORS * error:
                return False
    return True


def _shared_rows(candidates: Sequence[Candidate]) -> npt.NDArray[np.int64]:
    if len(candidates) < 2:
        return np.zeros(0, dtype=np.int64)
    rows = candidates[0].answers.rows
    for one in candidates[1:]:
        rows = np.intersect1d(rows, one.answers.rows)
    return rows


def _told(best: _Pair, curve: Sequence[_Pair], scores: Mapping[str, float], rows: int) -> dict[str, Any]:
    """Return the proposal as report.json has it."""
    stages = [_stage(best.cheap), _stage(best.dear)]
    return {
        "rungs": [best.cheap.name, best.dear.name],
        "stages": [best.cheap.family, best.dear.family],
        "yaml": f"cascade: {{stages: [{', '.join(stages)}]}}",
        "within": best.within,
        "signals": sorted(set(best.signals)),
        "rows": rows,
        "handed_on": round(best.handed, 4),
        "score": round(best.score, 5),
        "usd_per_1k": round(best.usd_per_1k, 9),
        "cheap": {"score": round(scores[best.cheap.name], 5), "usd_per_1k": best.cheap.usd_per_1k},
        "dear": {"score": round(scores[best.dear.name], 5), "usd_per_1k": best.dear.usd_per_1k},
        "curve": [
            {
                "within": pair.within,
                "handed_on": round(pair.handed, 4),
                "score": round(pair.score, 5),
                "usd_per_1k": round(pair.usd_per_1k, 9),
            }
            for pair in curve
        ],
    }


def _stage(one: Candidate) -> str:
    """Return a stage as YAML in one line: JSON is YAML."""
    if not one.params:
        return one.family
    return f"{{model: {one.family}, params: {json.dumps(one.params, ensure_ascii=False)}}}"


def _given(params: Any) -> dict[str, Any]:
    """Return the parameters that differ from their defaults."""
    found = {}
    for one in fields(params):
        usual = one.default if one.default_factory is MISSING else one.default_factory()
        value = getattr(params, one.name)
        if value != usual:
            found[one.name] = list(value) if isinstance(value, tuple) else value
    return found
