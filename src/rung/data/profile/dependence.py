"""Measure whether rows are related: do models that know a row's relatives predict it far better than models that do not?

Cheap models (nearest neighbours, a ridge regression) are scored twice on the same rows by cross-validation: with rows
dealt to the folds one by one, and with clusters of possibly related rows kept whole. In both cases they learn from
three quarters of the rows. If rows are drawn independently, leaving out a row's few most similar ones costs little: a
model of the subject has the rest. If they come in families, most of what the first score shows is knowledge of the
family, which is of no use for rows of new families.

A difference counts if it is large against what was learned at all, large in itself, and far beyond chance; the
standard error of the difference takes clusters for independent, not rows. The best model of each side is compared, so
that a weak model cannot make a difference that a better one would not have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rung.core.stats.confidence_bounds import proportion_lower
from rung.data.profile.row_clusters import Clusters
from rung.data.profile.row_similarity import Floats, Ints, Neighbours

_FOLDS = 4
_VOTERS = (1, 5, 15)
_RIDGE = 1.0
# Related: this share of what is learned is lost, and this much of the score; so many standard errors beyond chance.
LOST_SHARE, LEAST_LOSS, _STANDARD_ERRORS = 0.4, 0.05, 3.5
# Where models learn less than this, there is nothing to lose.
_LEAST_SKILL = 0.1
_CONFIDENCE_Z = 1.645


@dataclass(frozen=True)
class Dependence:
    """Scores of the best cheap model with rows dealt one by one, and with clusters kept whole.

    plain, clustered: accuracy of labels, R2 of numbers. plain_bound, clustered_bound: their lower bounds at 95 %, rows
    and clusters counted as independent. lost: share of what is learned (against always giving the most frequent label,
    or the mean) that clusters take away. z: standard errors.
    """

    clusters: Clusters
    plain: float
    clustered: float
    plain_bound: float
    clustered_bound: float
    lost: float
    z: float

    @property
    def is_related(self) -> bool:
        """Return whether the difference counts."""
        return (
            self.lost >= LOST_SHARE
            and self.plain - self.clustered >= LEAST_LOSS
            and self.z >= _STANDARD_ERRORS
        )


def target_of(targets: Sequence[object], labels: Sequence[str]) -> Floats | None:
    """Return [n, labels] of ones, or [n, 1] of standardised numbers; None where they are neither or all the same."""
    if labels:
        names, code = np.unique([str(target) for target in targets], return_inverse=True)
        return np.eye(len(names), dtype=np.float32)[code] if len(names) > 1 else None
    try:
        numbers = np.array([float(str(target)) for target in targets])
    except ValueError:
        return None
    spread = numbers.std()
    if not (np.isfinite(numbers).all() and spread > 0.0):
        return None
    # A single outlier must not be all there is to explain.
    low, high = np.quantile(numbers, [0.01, 0.99])
    numbers = numbers.clip(low, high) if high > low else numbers
    return np.asarray((numbers - numbers.mean()) / numbers.std(), np.float32)[:, None]


def dependence(
    guesses: Sequence[Clusters], near: Mapping[str, Neighbours], linear: Floats, target: Floats, units: Ints
) -> list[Dependence]:
    """Return what each guess takes away; nothing when cheap models learn nothing.

    near, linear: what the models see (`row_similarity.neighbours`). units: rows that the split keeps together already.
    """
    plain = _scored(_dealt(units), near, linear, target)
    if _skill(plain, target) < _LEAST_SKILL:
        return []
    return [_compared(plain, guess, near, linear, target, units) for guess in guesses]


def _compared(
    plain: Floats,
    guess: Clusters,
    near: Mapping[str, Neighbours],
    linear: Floats,
    target: Floats,
    units: Ints,
) -> Dependence:
    clustered = _scored(_dealt(guess.label), near, linear, target)
    learned, left = _skill(plain, target), _skill(clustered, target)
    lost = np.bincount(guess.label, weights=plain - clustered)
    z = float(lost.sum() / math.sqrt(float((lost**2).sum()) + 1e-12))
    one, two = float(plain.mean()), float(clustered.mean())
    return Dependence(
        guess,
        one,
        two,
        _bound(plain, one, units),
        _bound(clustered, two, guess.label),
        (learned - left) / learned,
        z,
    )


def _dealt(groups: Ints) -> Ints:
    """Return the fold of each row; groups stay whole, the largest are dealt first."""
    rng = np.random.default_rng(0)
    sizes = np.bincount(groups)
    fold, load = np.zeros(len(sizes), np.int64), [0] * _FOLDS
    for group in np.lexsort((rng.random(len(sizes)), -sizes)).tolist():
        fold[group] = load.index(min(load))
        load[fold[group]] += int(sizes[group])
    return fold[groups]


def _scored(fold: Ints, near: Mapping[str, Neighbours], linear: Floats, target: Floats) -> Floats:
    """Return what the best model scores on each row: 1 or 0, or 1 less the squared error as a share of the variance."""
    answers = [_ridge(linear, target, fold)]
    for each in near.values():
        answers += _votes(each, target, fold)
    values = [_values(answer, target) for answer in answers]
    return max(values, key=lambda value: float(value.mean()))


def _values(answer: Floats, target: Floats) -> Floats:
    if target.shape[1] > 1:
        return np.asarray(answer.argmax(axis=1) == target.argmax(axis=1), np.float32)
    return np.asarray(1.0 - (answer - target)[:, 0] ** 2, np.float32)


def _skill(values: Floats, target: Floats) -> float:
    """Return the score as a share of the way from answering without reading to never being wrong."""
    floor = float(target.mean(axis=0).max()) if target.shape[1] > 1 else 0.0
    return (float(values.mean()) - floor) / (1.0 - floor)


def _votes(near: Neighbours, target: Floats, fold: Ints) -> list[Floats]:
    """Return the answers of the nearest 1, 5 and 15 neighbours of other folds, by the square of their similarity."""
    others = (near.rows >= 0) & (fold[np.maximum(near.rows, 0)] != fold[:, None])
    rank = np.cumsum(others, axis=1)
    weight = np.where(others, near.similarity**2, 0.0)
    prior = target.mean(axis=0)
    found = []
    sums, total, taken = np.zeros_like(target), np.zeros(len(target), np.float32), 0
    for most in _VOTERS:
        for place in range(near.rows.shape[1]):
            column = others[:, place] & (rank[:, place] <= most) & (rank[:, place] > taken)
            if column.any():
                sums[column] += weight[column, place, None] * target[near.rows[column, place]]
                total[column] += weight[column, place]
        taken = most
        found.append(np.asarray((sums + 1e-6 * prior) / (total + 1e-6)[:, None], np.float32))
    return found


def _ridge(linear: Floats, target: Floats, fold: Ints) -> Floats:
    """Return the answers of ridge regressions on the other folds; sums of products are taken once and each fold's subtracted."""
    products, sums = linear.T @ linear, linear.T @ target
    penalty = np.full(linear.shape[1], _RIDGE, np.float32)
    penalty[0] = 1e-3
    out = np.zeros_like(target)
    for number in range(_FOLDS):
        held = fold == number
        rows = linear[held]
        left = products - rows.T @ rows + np.diag(penalty)
        out[held] = rows @ np.linalg.solve(left, sums - rows.T @ target[held])
    return out


def _bound(values: Floats, score: float, groups: Ints) -> float:
    """Return the lower bound of a score at 95 %: Clopper-Pearson for labels of single rows, else normal over groups."""
    each = np.bincount(groups, weights=values - score)
    if len(each) == len(values) and bool(np.isin(values, (0.0, 1.0)).all()):
        return proportion_lower(int(values.sum()), len(values), 0.05)
    return score - _CONFIDENCE_Z * math.sqrt(float((each**2).sum())) / len(values)
