"""Decide whether rows are related to each other, and by which column they should be grouped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from rung.data.profile.dependence import Dependence, dependence, target_of
from rung.data.profile.row_clusters import by_value, candidates
from rung.data.profile.row_similarity import Ints, RowFeatures, codes_of, neighbours

# Fewer rows show families and chance alike.
FEWEST_ROWS = 150
# A column is proposed to group by if it takes away nearly as much as the clusters that were found.
_AS_GOOD = 0.75


@dataclass(frozen=True)
class Related:
    """Rows are related. found: by which clusters, and what they take away. group: the column that tells them, "" if none."""

    found: Dependence
    group: str = ""


@dataclass(frozen=True)
class RowTable:
    """Rows as they are compared. texts: prose, joined; columns: other inputs; numeric: which of them hold numbers.

    targets, labels: as in `Examples` and its schema. units: of the split.
    """

    texts: Sequence[str]
    columns: Mapping[str, Sequence[Any]]
    numeric: Sequence[str]
    targets: Sequence[Any]
    labels: Sequence[str]
    units: Sequence[str]


def related(rows: RowTable, others: Callable[[], Mapping[str, Sequence[Any]]]) -> Related | None:
    """Return how rows are related; None where they are not, or where nothing tells.

    others: returns the columns of the source that no model reads; called only when rows are related. Without scipy
    nothing is compared.
    """
    target = target_of(rows.targets, rows.labels)
    if len(rows.units) < FEWEST_ROWS or target is None or find_spec("scipy") is None:
        return None
    features = RowFeatures.of(rows.texts, rows.columns, rows.numeric)
    near, linear = neighbours(features)
    if not near:
        return None
    units = np.unique(np.asarray(rows.units), return_inverse=True)[1].astype(np.int64)
    guesses = candidates(features, near.values(), units)
    found = [one for one in dependence(guesses, near, linear, target, units) if one.is_related]
    if not found:
        return None
    best = max(found, key=lambda one: one.lost)
    named = {one.clusters.column: one for one in found if one.clusters.column not in ("", *rows.numeric)}
    columns = [by_value(name, codes, units) for name, codes in _codes(others()).items()]
    more = dependence([one for one in columns if one], near, linear, target, units)
    # Columns that no model reads are asked first: an id is seldom an input.
    unread = {one.clusters.column: one for one in more if one.is_related}
    for group in (unread, named):
        good = [name for name, one in group.items() if one.lost >= _AS_GOOD * min(best.lost, 1.0)]
        if good:
            return Related(best, max(good, key=lambda name: group[name].lost))
    return Related(best)


def _codes(columns: Mapping[str, Sequence[Any]]) -> dict[str, Ints]:
    return {name: codes_of(column) for name, column in columns.items()}
