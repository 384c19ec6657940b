"""Group rows that may be related: those most similar to each other, and those that share a value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.profile.row_similarity import Ints, Neighbours, RowFeatures

# Rows of a cluster of similar rows, at most: clusters of families of any smaller size hold several of them.
SIZES = (16, 64)
# A cluster larger than this share of the rows is a subject, not a family.
LARGEST_SHARE = 0.05
# Of its neighbours each row is joined to so many.
_JOINED = 10
# A column tells rows apart that belong together: so many values, in so many rows each on average.
_FEWEST_VALUES, _ROWS_PER_VALUE = 20, (1.5, 60.0)
_ID = re.compile(r"[\w.@+-]*(?:\d[\w.@+-]*){2,}|[\w.+-]+@[\w.-]+")


@dataclass(frozen=True)
class Clusters:
    """A guess at which rows belong together. how: similar, value or id. column: of a value. label: number of each row's cluster."""

    how: str
    column: str
    label: Ints

    @property
    def count(self) -> int:
        return int(self.label.max(initial=-1)) + 1


def similar(neighbours: Neighbours, units: Ints, most: int) -> Clusters:
    """Return clusters of at most so many rows: the most similar pairs are joined first. units: stay whole."""
    rows, joined = len(neighbours.rows), min(_JOINED, neighbours.rows.shape[1])
    left, right = np.repeat(np.arange(rows), joined), neighbours.rows[:, :joined].ravel()
    order = np.argsort(-neighbours.similarity[:, :joined].ravel(), kind="stable")
    order = order[right[order] >= 0]
    pairs = zip(units[left[order]].tolist(), units[right[order]].tolist(), strict=True)
    return Clusters("similar", "", _joined(pairs, units, most))


def by_value(column: str, codes: Ints, units: Ints) -> Clusters | None:
    """Return clusters of rows with the same cell, where a column has as many values as ids have; else None."""
    filled = codes[codes >= 0]
    sizes = np.bincount(filled)
    values, low_high = int((sizes > 0).sum()), _ROWS_PER_VALUE
    if values < _FEWEST_VALUES or not low_high[0] <= len(filled) / values <= low_high[1]:
        return None
    if len(filled) < 0.5 * len(codes) or sizes.max() > LARGEST_SHARE * len(codes):
        return None
    order = np.argsort(codes, kind="stable")
    order = order[codes[order] >= 0]
    same = codes[order[1:]] == codes[order[:-1]]
    pairs = zip(units[order[:-1][same]].tolist(), units[order[1:][same]].tolist(), strict=True)
    return Clusters("value", column, _joined(pairs, units, len(codes)))


def by_shared_id(texts: Sequence[str], units: Ints) -> Clusters | None:
    """Return clusters of texts that share a rare word with digits, such as the number of a ticket; None without such."""
    most = max(int(LARGEST_SHARE * len(texts)), 2)
    holders: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for word in {found.group() for found in _ID.finditer(text)}:
            holders.setdefault(word, []).append(row)
    shared = [rows for rows in holders.values() if 2 <= len(rows) <= most]
    covered = {row for rows in shared for row in rows}
    if len(shared) < _FEWEST_VALUES or len(covered) < 0.1 * len(texts):
        return None
    shared.sort(key=len)
    pairs = ((int(units[a]), int(units[b])) for rows in shared for a, b in zip(rows, rows[1:], strict=False))
    return Clusters("id", "", _joined(pairs, units, most))


def candidates(features: RowFeatures, found: Iterable[Neighbours], units: Ints) -> list[Clusters]:
    """Return every guess at which rows belong together."""
    rows = features.rows
    sizes = sorted({max(min(size, int(LARGEST_SHARE * rows)), 8) for size in SIZES})
    guesses: list[Clusters | None] = [similar(each, units, size) for each in found for size in sizes]
    guesses += [by_value(name, codes, units) for name, codes in features.cells.items()]
    guesses.append(by_shared_id(features.texts, units))
    return [guess for guess in guesses if guess is not None and guess.count >= _FEWEST_VALUES]


def _joined(pairs: Iterable[tuple[int, int]], units: Ints, most: int) -> Ints:
    """Return the cluster of each row after joining units pair by pair, where together they have at most so many rows."""
    size = np.bincount(units).tolist()
    parent = list(range(len(size)))

    def root(unit: int) -> int:
        while parent[unit] != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    for left, right in pairs:
        one, other = root(left), root(right)
        if one != other and size[one] + size[other] <= most:
            parent[other] = one
            size[one] += size[other]
    roots = np.array([root(unit) for unit in range(len(parent))])
    return np.asarray(np.unique(roots[units], return_inverse=True)[1], np.int64)
