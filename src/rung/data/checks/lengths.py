"""Check for texts far longer or shorter than the rest: pasted logs, truncated exports."""

from __future__ import annotations

import numpy as np

from rung.data.profile.finding import Finding
from rung.data.profile.view import View

KINDS = frozenset({"text"})
TARGETS = False
WHEN = "build"
# Beyond so many times the interquartile range of log lengths above the third quartile, and of so many characters.
_FENCE, _LONG = 3.0, 2_000
# Exports cut texts at round lengths; so large a share at exactly the greatest length is no chance.
_CUT = 0.01


def check(view: View) -> Finding | None:
    """Return rows of extreme length, and say when many end at exactly the same greatest length."""
    lengths = np.array([len(text.strip()) for text in view.texts])
    if len(lengths) < 50:
        return None
    logs = np.log(np.maximum(lengths, 1))
    low, high = np.quantile(logs, [0.25, 0.75])
    spread = max(high - low, 0.3)
    long = (logs > high + _FENCE * spread) & (lengths > _LONG)
    short = (lengths < 3) & (logs < low - _FENCE * spread)
    greatest = int(lengths.max())
    cut = (lengths == greatest) & (greatest >= 50)
    is_cut = cut.sum() >= max(10, _CUT * len(lengths)) and cut.mean() < 0.9
    marked = long | short | (cut if is_cut else False)
    rows = np.flatnonzero(marked)
    if not len(rows):
        return None
    order = rows[np.argsort(-lengths[rows], kind="stable")].tolist()
    values = {
        "median": int(np.median(lengths)), "greatest": greatest, "long": int(long.sum()), "short": int(short.sum()),
        "cut": int(cut.sum()) if is_cut else 0,
    }  # fmt: skip
    evidence = view.evidence(order, lambda i: f"{lengths[i]:,}")
    return Finding("lengths", "warn" if is_cut else "info", len(rows), len(lengths), values, evidence)
