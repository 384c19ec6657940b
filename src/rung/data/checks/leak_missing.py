"""Check for columns whose missingness depends on the target: filled in after the outcome was known."""

from __future__ import annotations

from typing import Any

import numpy as np

from rung.data.profile.association import can_be_explained, explained, target_matrix
from rung.data.profile.finding import Finding
from rung.data.profile.view import View, spread

KINDS = frozenset({"number", "category", "time", "text"})
TARGETS = False
WHEN = "build"
_ROWS, _FEWEST = 20_000, 50
# Of the entropy of labels or the variance of numbers; what people merely forget to fill in explains a few hundredths.
_TELLS = 0.4


def check(view: View) -> Finding | None:
    """Return the column whose being empty says most of the target, when it says this much."""
    train = view.train
    rows = spread(len(train), _ROWS)
    if len(rows) < _FEWEST or not can_be_explained(train, rows):
        return None
    target = target_matrix(train, rows)
    best, share = "", 0.0
    for name, column in train.inputs.items():
        filled = np.array([_is_filled(column[i]) for i in rows])
        if name not in view.skipped and 5 <= filled.sum() <= len(rows) - 5:
            found = explained(filled.astype(np.int64), target)
            if found > share:
                best, share = name, found
    if share < _TELLS:
        return None
    filled = np.array([_is_filled(train.inputs[best][i]) for i in rows])
    if train.schema.labels:
        label = int(np.argmax(np.abs(target[filled].mean(axis=0) - target[~filled].mean(axis=0))))
        shown = [
            f"{train.schema.labels[label]} {target[side, label].mean():.0%}" for side in (filled, ~filled)
        ]
    else:
        shown = [f"{target[side].mean():.4g}" for side in (filled, ~filled)]
    values = {"column": best, "filled": shown[0], "empty": shown[1], "share": f"{share:.0%}"}
    some = [rows[i] for i in np.flatnonzero(filled)[:3]] + [rows[i] for i in np.flatnonzero(~filled)[:2]]
    column = train.inputs[best]
    evidence = view.evidence(
        some,
        lambda i: (
            f"{best} {'= ' + str(column[i])[:40] if _is_filled(column[i]) else '∅'} → {train.targets[i]}"
        ),
    )
    return Finding("leak_missing", "stop", int(filled.sum()), len(rows), values, evidence)


def _is_filled(cell: Any) -> bool:
    return cell is not None and cell != "" and cell == cell
