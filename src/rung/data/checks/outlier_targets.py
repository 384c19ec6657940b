"""Check for target numbers so far from all others that models are fitted to them only in part."""

from __future__ import annotations

import numpy as np

from rung.data.profile.finding import Finding
from rung.data.profile.view import View, evidence
from rung.training.tables.target_transform import fit_target_transform

KINDS: frozenset[str] = frozenset()
TARGETS = False
WHEN = "build"
_SHOWN = 3


def check(view: View) -> Finding | None:
    """Return the training rows whose target a fit takes for the end of the range of the others."""
    values = view.target_numbers()
    if values is None:
        return None
    fitted = fit_target_transform(values)
    rows = np.flatnonzero((values < fitted.low) | (values > fitted.high)).tolist()
    if not rows:
        return None
    shown = ", ".join(f"{values[i]:,.10g}" for i in rows[:_SHOWN]) + (" …" if len(rows) > _SHOWN else "")
    ends = {"low": f"{fitted.low:,.10g}", "high": f"{fitted.high:,.10g}", "shown": shown}
    found = view.all_train.take(rows)
    return Finding(
        "outlier_targets", "warn", len(rows), len(values), ends,
        evidence(found, range(len(rows)), lambda i: f"{found.targets[i]:,.10g}"),
    )  # fmt: skip
