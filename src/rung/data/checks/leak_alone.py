"""Check for a single column that nearly determines the target: a copy of it or its consequence."""

from __future__ import annotations

import numpy as np

from rung.core.types import Field
from rung.data.profile.association import (
    Floats,
    as_numbers,
    bins_of,
    can_be_explained,
    explained,
    explained_by_cuts,
    target_matrix,
)
from rung.data.profile.finding import Finding
from rung.data.profile.view import View, spread

KINDS = frozenset({"number", "category", "time"})
TARGETS = False
WHEN = "build"
_ROWS, _FEWEST = 20_000, 50
# Of the entropy of labels, or of the variance of numbers. The best honest columns of the tables we know explain 0.71
# of the one (the rarest label of the shuttle, `f7`) and 0.55 of the other (Ames, `Neighborhood`).
_TELLS = 0.85
_BINS = 200


def check(view: View) -> Finding | None:
    """Return the column that explains most of the target, when it explains nearly all of it."""
    train = view.train
    rows = spread(len(train), _ROWS)
    if len(rows) < _FEWEST or not can_be_explained(train, rows):
        return None
    target = target_matrix(train, rows)
    best, share = "", 0.0
    for field in train.schema.inputs:
        # Categories of labels are `leak_column`'s, which also reads codes by their beginning.
        if (
            field.name in view.skipped
            or field.kind not in KINDS
            or (field.kind == "category" and train.schema.labels)
        ):
            continue
        found = _share(field, view, rows, target)
        if found > share:
            best, share = field.name, found
    if share < _TELLS:
        return None
    values = {"column": best, "share": f"{share:.0%}"}
    column = train.inputs[best]
    evidence = view.evidence(rows[:5], lambda i: f"{best} = {column[i]} → {train.targets[i]}")
    return Finding("leak_alone", "stop", len(rows), len(rows), values, evidence)


def _share(field: Field, view: View, rows: list[int], target: Floats) -> float:
    column = view.train.inputs[field.name]
    if field.kind == "category":
        _, codes = np.unique([str(column[i]) for i in rows], return_inverse=True)
        return explained(codes.astype(np.int64), target)
    numbers = as_numbers(field, column, rows)
    count = min(_BINS, max(len(rows) // 20, 5))
    share = explained(bins_of(numbers, count), target)
    # Of few rows bins are wide and straddle the value at which a label turns. Where they are fine, cuts would only find what
    # separates a rare label, as honest readings of the shuttle do.
    return max(share, explained_by_cuts(numbers, target)) if count < _BINS else share
