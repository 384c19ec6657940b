"""How well single columns predict the target, estimated on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.types import Examples, Field
from rung.modalities.tables.moments import parse_time

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# A group's shares are drawn to those of all rows as if so many more rows had them.
_PULL = 1.0
# A number is cut so often, and so many rows lie on either side.
_CUTS, _FEWEST_OF_CUT, _TIED = 4, 3, 5


def can_be_explained(examples: Examples, rows: Sequence[int]) -> bool:
    """Return whether targets are labels or numbers; lists, texts and the like have no shares to explain."""
    if examples.schema.labels:
        return True
    try:
        return all(math.isfinite(float(examples.targets[i])) for i in rows)
    except (TypeError, ValueError):
        return False


def target_matrix(examples: Examples, rows: Sequence[int]) -> Floats:
    """Return [rows, labels], one 1 a row; or [rows, 1] of numbers, where targets are such."""
    labels = examples.schema.labels
    if labels:
        place = {label: k for k, label in enumerate(labels)}
        return np.eye(len(labels))[[place[str(examples.targets[i])] for i in rows]]
    return np.array([[float(examples.targets[i])] for i in rows])


def as_numbers(field: Field, column: Any, rows: Sequence[int]) -> Floats:
    """Return a column of numbers or dates, NaN where a cell holds nothing."""
    cells = [column[i] for i in rows]
    if field.kind == "time":
        cells = [parse_time(str(cell)) if cell else None for cell in cells]
    return np.array([np.nan if cell is None or cell == "" else cell for cell in cells], dtype=np.float64)


def bins_of(values: Floats, count: int) -> Ints:
    """Return a group for each number, about as many rows in each; those that are missing have one of their own."""
    filled = values[~np.isnan(values)]
    if not len(filled):
        return np.zeros(len(values), dtype=np.int64)
    cuts = np.unique(np.quantile(filled, np.linspace(0, 1, count + 1)[1:-1]))
    return np.where(np.isnan(values), len(cuts) + 1, np.searchsorted(cuts, values, side="right")).astype(
        np.int64
    )


def explained(groups: Ints, target: Floats, seed: int = 0) -> float:
    """Return the share of the target's entropy, or of a number's variance, that groups take away; below 0 for noise.

    Two halves, each judged by the shares, or means, of the other's groups: what one row says of itself counts for
    nothing, and an id that differs in every row explains nothing.
    """
    return _explained(lambda _: groups, target, seed)


def explained_by_cuts(values: Floats, target: Floats, seed: int = 0) -> float:
    """Return the same of a number cut where the target changes most, at most _CUTS times; missing cells are a group.

    The cuts follow the half that is learned from. Quantiles would straddle the value at which a label turns.
    """
    return _explained(
        lambda learn: np.where(np.isnan(values), -1, _cut(values, values[learn], target[learn])) + 1,
        target,
        seed,
    )


def _explained(groups_of: Callable[[npt.NDArray[np.bool_]], Ints], target: Floats, seed: int) -> float:
    """Return what groups explain on each half. groups_of: returns the group of each row, from the rows to learn from."""
    half = np.random.default_rng(seed).permutation(len(target)) % 2
    left = whole = 0.0
    for side in (0, 1):
        learn, test = half != side, half == side
        groups = groups_of(learn)
        size = int(groups.max(initial=0)) + 1
        overall = target[learn].mean(axis=0)
        counts = np.bincount(groups[learn], minlength=size)[:, None]
        sums = np.column_stack([np.bincount(groups[learn], column[learn], size) for column in target.T])
        means = ((sums + _PULL * overall) / (counts + _PULL))[groups[test]]
        left += _loss(means, target[test])
        whole += _loss(np.tile(overall, (int(test.sum()), 1)), target[test])
    return 1.0 - left / whole if whole > 0 else 0.0


def _cut(values: Floats, learned: Floats, target: Floats) -> Ints:
    """Return between which cuts each value lies. The cuts of the learned rows lessen the squared error most, one by one."""
    filled = ~np.isnan(learned)
    order = np.argsort(learned[filled], kind="stable")
    x, y = learned[filled][order], target[filled][order]
    cuts: list[float] = []
    parts = [(0, len(x))]
    while parts and len(cuts) < _CUTS:
        gains = [_best_cut(x[begin:end], y[begin:end]) for begin, end in parts]
        best = max(range(len(parts)), key=lambda i: gains[i][0])
        gain, place = gains[best]
        if gain <= 0.0:
            break
        begin, end = parts.pop(best)
        parts += [(begin, begin + place), (begin + place, end)]
        cuts.append(_between(x, begin + place))
    return np.searchsorted(np.sort(np.array(cuts)), values, side="right").astype(np.int64)


def _between(x: Floats, place: int) -> float:
    """Return where to cut sorted values before a place: beside a value that many rows have, such as 0, else halfway."""
    low, high = float(x[place - 1]), float(x[place])
    if place >= _TIED and x[place - _TIED] == low:
        return math.nextafter(low, math.inf)
    if place + _TIED <= len(x) and x[place + _TIED - 1] == high:
        return high
    return (low + high) / 2.0


def _best_cut(x: Floats, y: Floats) -> tuple[float, int]:
    """Return how much a cut of sorted values lessens the squared error at most, and before which place it lies."""
    n = len(x)
    if n < 2 * _FEWEST_OF_CUT:
        return 0.0, 0
    before = np.cumsum(y, axis=0)[:-1]
    count = np.arange(1, n)[:, None]
    after = y.sum(axis=0) - before
    gain = (before**2 / count + after**2 / (n - count)).sum(axis=1) - float((y.sum(axis=0) ** 2).sum()) / n
    gain[(x[1:] <= x[:-1]) | (count[:, 0] < _FEWEST_OF_CUT) | (n - count[:, 0] < _FEWEST_OF_CUT)] = 0.0
    place = int(gain.argmax())
    return float(gain[place]), place + 1


def moves(groups: Ints, target: Floats) -> tuple[float, float]:
    """Return how far groups tell the target (share of entropy or variance, on the same rows), and how likely chance
    alone would do as well: the likelihood ratio, or n R2, against its chi-squared distribution."""
    size = int(groups.max(initial=0)) + 1
    counts = np.bincount(groups, minlength=size)
    means = (
        np.column_stack([np.bincount(groups, column, size) for column in target.T])
        / np.maximum(counts, 1)[:, None]
    )
    overall = np.tile(target.mean(axis=0), (len(target), 1))
    whole = _loss(overall, target)
    gain = whole - _loss(means[groups], target)
    numbers = target.shape[1] == 1
    statistic = len(target) * gain / whole if numbers and whole > 0 else 2 * gain
    freedom = (int((counts > 0).sum()) - 1) * max(target.shape[1] - 1, 1)
    return (gain / whole if whole > 0 else 0.0), _chance(statistic, freedom)


def _loss(said: Floats, target: Floats) -> float:
    if target.shape[1] == 1:
        return float(((said - target) ** 2).sum())
    return float(-(target * np.log(np.maximum(said, 1e-9))).sum())


def _chance(statistic: float, freedom: int) -> float:
    """Return the upper tail of chi-squared by Wilson & Hilferty (1931): good to a tenth where it matters here."""
    if freedom < 1 or statistic <= 0:
        return 1.0
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(z / math.sqrt(2))
