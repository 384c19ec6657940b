"""Check for input dates later than the row's own time: unknown when the model is asked."""

from __future__ import annotations

import numpy as np

from rung.data.profile.association import as_numbers
from rung.data.profile.finding import Finding
from rung.data.profile.view import View, spread

KINDS = frozenset({"time"})
TARGETS = False
WHEN = "build"
_ROWS, _LEAST = 100_000, 0.02
# A clock that is set differently, or a day without its hour, is no look into the future.
_SECONDS = 86_400.0


def check(view: View) -> Finding | None:
    """Return the column of dates most often later than `data.time` by more than a day; None without that column."""
    train = view.train
    if view.product.data.time is None:
        return None
    rows = spread(len(train), _ROWS)
    own = np.array([train.times[i] for i in rows], dtype=np.float64)
    worst, late = "", np.zeros(len(rows), bool)
    for field in train.schema.inputs:
        if field.kind != "time" or field.name in view.skipped:
            continue
        with np.errstate(invalid="ignore"):
            found = as_numbers(field, train.inputs[field.name], rows) > own + _SECONDS
        if found.sum() > late.sum():
            worst, late = field.name, found
    if late.sum() < max(_LEAST * len(rows), 5):
        return None
    values = {"column": worst, "time": view.product.data.time, "share": f"{late.mean():.0%}"}
    some = [rows[i] for i in np.flatnonzero(late)[:5].tolist()]
    column = train.inputs[worst]
    evidence = view.evidence(some, lambda i: f"{worst} = {column[i]}")
    return Finding("leak_future", "stop", int(late.sum()), len(rows), values, evidence)
