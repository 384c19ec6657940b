"""Which rows a teacher is asked about next, when more labels stop helping, and which of its answers are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Share of each batch that is random: it keeps the training rows like the pool, whatever the student believes.
RANDOM_SHARE = 0.3
# Of so many times the wanted rows, the least sure ones, a batch is drawn: neighbours are not all taken.
_WIDER = 4
# Asking ends when twice as many labels gained less than this, means of so many rounds compared; the fewest rounds before.
_GAIN, _ROUNDS, _FEWEST = 0.005, 3, 6
# An answer is dropped when the student, trained without it, gives its label at most this probability, and the teacher is
# less sure than on half of its answers.
_DOUBT = 0.05


def next_rows(probabilities: Floats | None, free: Ints, count: int, rng: np.random.Generator) -> Ints:
    """Return which rows to ask about: the student's least sure ones, and some at random.

    probabilities: of the student on the free rows, [free, labels]; None before there is a student: all at random.
    free: numbers of the rows that were not asked about.
    """
    count = min(count, len(free))
    if probabilities is None:
        return np.asarray(rng.choice(free, count, replace=False))
    top = np.sort(probabilities, axis=1)
    margin = top[:, -1] - top[:, -2]
    by_chance = rng.choice(len(free), min(round(count * RANDOM_SHARE), len(free)), replace=False)
    order = np.argsort(margin, kind="stable")
    unsure = order[~np.isin(order, by_chance)][: _WIDER * count]
    chosen = rng.choice(unsure, min(count - len(by_chance), len(unsure)), replace=False)
    return np.asarray(free[np.concatenate([by_chance, chosen])])


def has_flattened(scores: Sequence[float]) -> bool:
    """Return whether doubling the labels gained nothing worth its price. scores: after each round of as many labels.

    One round says little: a score on a few hundred rows moves by a point or two by chance, and a curve that grows by a
    point with each doubling looks flat from one round to the next.
    """
    if len(scores) < _FEWEST:
        return False
    half = len(scores) // 2
    before = scores[max(half - 2, 0) : half + 1]
    return float(np.mean(scores[-_ROUNDS:])) < float(np.mean(before)) + _GAIN


def kept_answers(sure: Floats, by_student: Floats) -> npt.NDArray[np.bool_]:
    """Return which answers are kept. sure: the teacher's probability of its answer; by_student: the student's of it."""
    if not len(sure):
        return np.zeros(0, dtype=bool)
    return ~((by_student <= _DOUBT) & (sure < np.median(sure)))
