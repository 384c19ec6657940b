"""Check for a target number that looks like a placeholder: repeated, and far from all others, such as -999999."""

from __future__ import annotations

import numpy as np

from rung.core.stats.outliers import repeated_outlier
from rung.data.profile.finding import Finding
from rung.data.profile.view import View, evidence

KINDS: frozenset[str] = frozenset()
TARGETS = False
WHEN = "build"


def check(view: View) -> Finding | None:
    """Return the training rows that hold the repeated value beyond the range of all other targets."""
    values = view.target_numbers()
    value = None if values is None else repeated_outlier(values)
    if values is None or value is None:
        return None
    rows = np.flatnonzero(values == value).tolist()
    others = values[values != value]
    shown = {"value": f"{value:.10g}", "low": f"{others.min():,.10g}", "high": f"{others.max():,.10g}"}
    return Finding(
        "placeholder_targets", "warn", len(rows), len(values), shown, evidence(view.all_train, rows)
    )
