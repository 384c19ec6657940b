"""Score a rung on training rows it was not fitted on, through the same export that ships.

Every published score, interval and mistake comes from here; certification rows are never read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple, Protocol

import numpy as np

from rung.core.excerpt import excerpt, picture, thumbnails
from rung.core.folds import assign_folds, planned_folds, train_test_rows
from rung.core.messages import say
from rung.core.metrics import scored
from rung.core.metrics.base import MeanMetric, Metric, per_unit
from rung.core.metrics.scored import STEP, Sampling, ScoredRows
from rung.core.stats.intervals import wilson_interval
from rung.core.task import Task
from rung.core.types import Columns, Examples, Prediction, take_rows

# Rows of the rarest label that a score should rest on, and what is held out to have them.
_HELD_OUT, _RARE_ROWS, _MOST_HELD_OUT = 5_000, 50, 100_000
_LEAST_RANDOM = 30


class Answers(Protocol):
    """A model as far as it is asked here."""

    def predict(self, inputs: Columns) -> list[Prediction]: ...


class HeldOut(NamedTuple):
    """Which rows are held out of which fit. parts: (train, test) row numbers of each fold.

    how: for the report: how (folds, part, latest) and in how many folds.
    """

    parts: list[tuple[list[int], list[int]]]
    how: dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """Answers on held-out training rows. `rows` indexes the training examples; answers align with it.

    held_out: how (folds, part, latest) and in how many folds; method: the same in words. first: the rows that the
    first fold held out.
    """

    rows: tuple[int, ...]
    truths: tuple[Any, ...]
    units: tuple[str, ...]
    answers: tuple[Prediction, ...]
    held_out: Mapping[str, Any]
    first: frozenset[int]

    @property
    def method(self) -> str:
        return say(f"method.{self.held_out['how']}", "en", n=self.held_out["folds"])


def folds(examples: Examples, fit_seconds: float = 0.0) -> HeldOut:
    """Return which rows are held out to score a rung whose fit is planned to take so long; see `planned_folds`.

    One part is a fifth of the rows, at most 5,000 of them (more where a label is rare); with a time column the
    latest fifth. A unit stays whole; targets are spread evenly.
    """
    n = len(examples)
    if _has_times(examples):
        return HeldOut([_latest(examples)], {"how": "latest", "folds": 1})
    wanted = planned_folds(n, False, fit_seconds)
    dealt = 5 if wanted == 1 else wanted
    part = assign_folds(dealt, examples.units, [str(target) for target in examples.targets])
    count = int(part.max()) + 1
    split = [(train.tolist(), test.tolist()) for train, test in train_test_rows(part, count)]
    if wanted > 1:
        return HeldOut(split, {"how": "folds", "folds": count})
    train, test = split[0]
    # Spread over the whole source: its first rows may be of one time, one author, one label.
    kept = test[:: -(-len(test) // _most_held_out(examples))]
    return HeldOut([(sorted({*train, *test} - {*kept}), kept)], {"how": "part", "folds": 1})


def _latest(examples: Examples) -> tuple[list[int], list[int]]:
    """Return the rows before the moment from which about a fifth of the rows lie, and those from it on, by time.

    As rows certify: rows of one moment stay together, groups may be on both sides, and a row whose span of time
    crosses the moment is on neither.
    """
    times = np.asarray(examples.times, np.float64)
    starts = np.asarray(examples.starts, np.float64) if len(examples.starts) else times
    moments, first = np.unique(np.sort(times), return_index=True)
    place = 1 + int(np.abs(first[1:] - 0.8 * len(times)).argmin())
    order = np.argsort(times, kind="stable")
    train = order[times[order] < moments[place]]
    test = order[starts[order] >= moments[place]]
    # Spans longer than the last fifth leave nothing to score on: then those that end in it.
    test = test if len(test) else order[times[order] >= moments[place]]
    return train.tolist(), test.tolist()


def _has_times(examples: Examples) -> bool:
    return len(set(examples.times)) > 1


def _most_held_out(examples: Examples) -> int:
    """Return how many rows to hold out: more than 5,000 where a rare label of few would hardly be among them."""
    counts = Counter(map(str, examples.targets)) if 0 < len(examples.schema.labels) <= 10 else Counter("?")
    needed = _RARE_ROWS * len(examples) // max(min(counts.values()), 1)
    return min(max(_HELD_OUT, needed), _MOST_HELD_OUT) if len(counts) > 1 else _HELD_OUT


def evaluate(examples: Examples, held_out: HeldOut, models: Iterable[Answers]) -> Evaluation:
    """Return the answers of a rung on rows held out of its training.

    models: those fitted on the training rows of each part, in their order, saved and loaded as a bundle's would be.
    """
    answers: dict[int, Prediction] = {}
    for (_, test), model in zip(held_out.parts, models, strict=True):
        for start in range(0, len(test), 512):
            piece = test[start : start + 512]
            answers |= dict(zip(piece, model.predict(examples.take(piece).inputs), strict=True))
    rows = sorted(answers)
    return Evaluation(
        tuple(rows),
        tuple(examples.targets[i] for i in rows),
        tuple(examples.units[i] for i in rows),
        tuple(answers[i] for i in rows),
        held_out.how,
        frozenset(held_out.parts[0][1]),
    )


def without(held_out: HeldOut, rows: Sequence[int]) -> HeldOut:
    """Return what is held out but for some rows, which are neither learned from nor asked about there."""
    gone = set(rows)
    parts = [(learn, [row for row in test if row not in gone]) for learn, test in held_out.parts]
    return HeldOut(parts, held_out.how)


def among(evaluation: Evaluation, units: Sequence[str]) -> Evaluation:
    """Return the answers on rows of these units alone: the random ones, where others were chosen to be labelled.

    A score on chosen rows says little of others. Fewer than 30 random rows say less still: all are kept then.
    """
    places = _of_units(evaluation.units, units)
    return Evaluation(
        tuple(evaluation.rows[i] for i in places),
        tuple(evaluation.truths[i] for i in places),
        tuple(evaluation.units[i] for i in places),
        tuple(evaluation.answers[i] for i in places),
        evaluation.held_out,
        evaluation.first,
    )


def first_fold(
    examples: Examples, held_out: HeldOut, units: Sequence[str] | None
) -> tuple[list[int], list[int]]:
    """Return the rows of the first fold to learn from, and those to score on: of `among` the same as it keeps."""
    learn, test = held_out.parts[0]
    if units is not None:
        asked = [row for _, rows in held_out.parts for row in rows]
        kept = {asked[place] for place in _of_units([examples.units[row] for row in asked], units)}
        test = [row for row in test if row in kept] or test
    return learn, test


def _of_units(held: Sequence[str], units: Sequence[str]) -> list[int]:
    """Return the places of these units; every place where they are too few to say anything."""
    wanted = set(units)
    places = [place for place, unit in enumerate(held) if unit in wanted]
    return places if len(places) >= _LEAST_RANDOM else list(range(len(held)))


def scores(evaluation: Evaluation, metrics: Sequence[Metric], examples: Examples) -> dict[str, float]:
    """Return each metric's value on the held-out rows; a mean counts units alike, as its bound does."""
    rows = scored_rows(evaluation, examples, *metrics)
    return {m.name: round(scored.mean_over_units(m, rows), 5) for m in metrics}


def scored_rows(evaluation: Evaluation, examples: Examples, *metrics: Metric) -> ScoredRows:
    """Return the held-out rows with their answers; with their inputs, if one of these metrics reads them."""
    read = any(metric.reads_inputs for metric in metrics)
    inputs = take_rows(examples.inputs, evaluation.rows) if read else {}
    return ScoredRows(evaluation.truths, evaluation.answers, examples.schema, evaluation.units, inputs)


def first_fold_score(evaluation: Evaluation, metric: Metric, examples: Examples) -> float:
    """Return the score on the first fold's held-out rows alone: where its learning curve ends."""
    places = [place for place, row in enumerate(evaluation.rows) if row in evaluation.first]
    places = places or list(range(len(evaluation.rows)))
    return scored.mean_over_units(metric, scored_rows(evaluation, examples, metric).take(places))


def interval(
    evaluation: Evaluation, metric: Metric, examples: Examples, confidence: float
) -> tuple[float, float]:
    """Return a two-sided interval of the score for the leaderboard: an estimate, not a certificate."""
    rows, units = scored_rows(evaluation, examples, metric), evaluation.units
    alone = len(set(units)) == len(units)
    if isinstance(metric, MeanMetric) and (alone or scored.weighs_units_alike(metric)):
        values = per_unit(scored.values(metric, rows), units)
        mean, n = float(values.mean()), len(values)
        low, high = wilson_interval(mean, n, confidence, float(values.var()))
        return round(low, 5), round(high, 5)
    tail = (1.0 - confidence) / 2.0
    rng = np.random.default_rng(0)
    _, member = np.unique(np.asarray(units), return_inverse=True)
    groups = [np.flatnonzero(member == g).tolist() for g in range(member.max() + 1)]
    drawn = []
    for _ in range(200):
        picked = [i for g in rng.integers(0, len(groups), len(groups)) for i in groups[g]]
        drawn.append(scored.score(metric, rows.take(picked)))
    low, high = np.quantile(drawn, [tail, 1.0 - tail])
    return round(float(low), 5), round(float(high), 5)


@dataclass(frozen=True)
class Expectation:
    """The bound to expect of a look. spread: standard deviation of the bound around `value`; sign: -1 if low is good.

    The spread has two parts: the score is itself an estimate, and the certification rows are a sample.
    """

    value: float
    exact: bool
    spread: float
    sign: float

    def chance(self, level: float) -> float:
        """Return the estimated probability that the bound clears a level."""
        ahead = self.sign * (self.value - level)
        return NormalDist().cdf(ahead / self.spread) if self.spread > 0 else float(ahead >= 0)

    def level_at(self, chance: float) -> float | None:
        """Return the level that the bound clears with this probability, to half points towards the safe side; None for none."""
        reached = self.sign * self.value - NormalDist().inv_cdf(chance) * self.spread
        if not math.isfinite(reached):
            return None
        return round(self.sign * math.floor(reached / STEP + 1e-9) * STEP, 6)


def predicted_bound(
    evaluation: Evaluation,
    metric: Metric,
    examples: Examples,
    units: int,
    alpha: float,
    sampling: Sampling = "drawn",
) -> Expectation:
    """Return the bound to expect on that many certification units: the estimate's margin, scaled to them.

    A margin shrinks with the square root of the number of units. sampling: how the units came about.
    """
    rows = scored_rows(evaluation, examples, metric)
    score, here = scored.mean_over_units(metric, rows), scored.bound(metric, rows, alpha, sampling)
    if not math.isfinite(here.value):
        # Resamples that all agree, as those of a constant answer do, say nothing: the worst is to be expected.
        worst, sign = (metric.least, 1.0) if metric.higher_is_better else (metric.greatest, -1.0)
        return Expectation(worst, here.exact, 0.0, sign)
    margin, scale = score - here.value, math.sqrt(len(set(evaluation.units)) / max(units, 1))
    # A margin at alpha is about so many standard errors; errors of the estimate and of the certification rows add up.
    errors = max(-NormalDist().inv_cdf(min(max(alpha, 1e-300), 0.49)), 1e-9)
    spread = abs(margin) / errors * math.hypot(1.0, scale)
    return Expectation(score - margin * scale, here.exact, spread, 1.0 if metric.higher_is_better else -1.0)


def details(evaluation: Evaluation, task: Task, examples: Examples) -> dict[str, Any]:
    """Return what the task shows beside the scores; a mistake's index becomes its file and row."""
    found = task.details(evaluation.truths, evaluation.answers, examples.schema)
    named = ("mistakes", "misses", "pictures", "samples")
    for mistake in [item for name in named for item in found.get(name, [])]:
        place = evaluation.rows[mistake.pop("index")]
        mistake |= {"row": examples.rows[place], "input": excerpt(examples, place)}
        if mistake.keys() & {"missed", "lines"}:
            mistake |= picture(examples, place)
        elif pictures := thumbnails(examples, place):
            mistake["thumbnails"] = pictures
        if examples.files:
            mistake["file"] = examples.files[place]
    return found


def best(trials: Sequence[Mapping[str, Any]], metric: Metric) -> Mapping[str, Any] | None:
    """Return the trial with the best score on held-out training rows; the cheaper one in a tie; None when all failed."""
    sound = [trial for trial in trials if trial["status"] != "failed" and not trial["differing"]]
    sign = 1.0 if metric.higher_is_better else -1.0
    return max(sound, key=lambda trial: sign * trial["scores"][metric.name]) if sound else None
