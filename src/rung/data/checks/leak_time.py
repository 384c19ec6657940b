"""Check for training rows later than certification rows."""

from __future__ import annotations

from itertools import islice

import numpy as np

from rung.data.prepare.parquet import read_places
from rung.data.profile.columns import profile
from rung.data.profile.finding import Finding, Level
from rung.data.profile.roles import suggest_time
from rung.data.profile.view import View, evidence
from rung.data.sources.read import read_rows
from rung.modalities.tables.moments import parse_time

KINDS: frozenset[str] = frozenset()
TARGETS = False
WHEN = "build"
_ROWS = 200_000
_PROFILED = 2_000


def check(view: View) -> Finding | None:
    """Return the share of training rows that postdate the middle certification row, by the column of dates.

    The column is `data.time`, else one that is filled with dates. Of certification rows only dates are read. A
    split by time cannot fail, so it is not looked at.
    """
    product = view.product
    if view.dataset.facts["split"]["by"] == "time" or not view.dataset.facts["certification"]:
        return None
    column = product.data.time or _dates(view)
    if column is None:
        return None
    trains = {place: i for i, place in enumerate(zip(view.train.files, view.train.rows, strict=True))}
    certifies = read_places(view.dataset, "certification")
    ours: dict[int, float] = {}
    theirs: list[float] = []
    for source in view.sources:
        for row in islice(read_rows(source, ()), _ROWS):
            when = parse_time(row.values.get(column)) if row.values else None
            if when is None:
                continue
            if (row.file, row.number) in trains:
                ours[trains[row.file, row.number]] = when
            elif (row.file, row.number) in certifies:
                theirs.append(when)
    if len(ours) < 20 or len(theirs) < 5:
        return None
    middle = float(np.median(theirs))
    later = sorted((i for i, when in ours.items() if when > middle), key=lambda i: -ours[i])
    if len(later) < 0.02 * len(ours):
        return None
    days = (max(ours.values()) - min(ours.values())) / 86_400
    values = {"column": column, "share": f"{len(later) / len(ours):.0%}", "days": round(days)}
    level: Level = "warn" if product.certify.path else "info"
    return Finding("leak_time", level, len(later), len(ours), values, evidence(view.train, later[:5]))


def _dates(view: View) -> str | None:
    """Return the column, of those without a role, that is filled with dates; None when there is none."""
    data = view.product.data
    columns, _ = profile(view.sources[0], _PROFILED)
    free = [c for c in columns if c.name not in {*data.input, data.target, data.group}]
    role = suggest_time(free)
    return role.column if role else None
