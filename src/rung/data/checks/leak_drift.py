"""Check for a target that changes over time while rows are split at random."""

from __future__ import annotations

import numpy as np

from rung.data.profile.association import as_numbers, bins_of, can_be_explained, moves, target_matrix
from rung.data.profile.finding import Finding
from rung.data.profile.view import View, spread

KINDS = frozenset({"time"})
TARGETS = False
WHEN = "build"
_ROWS, _FEWEST, _PERIODS = 50_000, 200, 10
# By chance one data set of ten thousand; and a move that matters: of the target's entropy or variance.
_ALPHA, _MATTERS = 1e-4, 0.01


def check(view: View) -> Finding | None:
    """Return the column of dates along which the target moves most, where the split is not by time."""
    train = view.train
    if view.dataset.facts["split"]["by"] == "time" or view.product.data.time is not None:
        return None
    rows = spread(len(train), _ROWS)
    if len(rows) < _FEWEST or not can_be_explained(train, rows):
        return None
    target = target_matrix(train, rows)
    best, most, shown = "", _MATTERS, ("", "")
    for field in train.schema.inputs:
        if field.kind != "time":
            continue
        when = as_numbers(field, train.inputs[field.name], rows)
        if np.isnan(when).mean() > 0.1 or len(np.unique(when[~np.isnan(when)])) < _PERIODS:
            continue
        known = ~np.isnan(when)
        periods = bins_of(when[known], _PERIODS)
        share, chance = moves(periods, target[known])
        if share > most and chance < _ALPHA:
            best, most = field.name, share
            ends = [target[known][periods == k].mean(axis=0) for k in (0, int(periods.max()))]
            shown = _ends(ends, train.schema.labels)
    if not best:
        return None
    values = {"column": best, "first": shown[0], "last": shown[1]}
    when = as_numbers(next(f for f in train.schema.inputs if f.name == best), train.inputs[best], rows)
    order = np.argsort(when)[: int((~np.isnan(when)).sum())]
    some = [rows[i] for i in (*order[:3].tolist(), *order[-2:].tolist())]
    evidence = view.evidence(some, lambda i: f"{train.inputs[best][i]} → {train.targets[i]}")
    return Finding("leak_drift", "warn", len(rows), len(rows), values, evidence)


def _ends(ends: list[np.ndarray], labels: tuple[str, ...]) -> tuple[str, str]:
    """Return the target in the first and the last period: the label that moved most, or the mean."""
    if not labels:
        return f"{ends[0][0]:.4g}", f"{ends[1][0]:.4g}"
    place = int(np.argmax(np.abs(ends[1] - ends[0])))
    return f"{labels[place]} {ends[0][place]:.0%}", f"{labels[place]} {ends[1][place]:.0%}"
