"""Report on thresholds, from held-out training rows: alarms, precision, recall and cost of each; gain, lift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.core.metrics.classification import by_threshold

Floats = npt.NDArray[np.float64]
_ALARM_RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_POINTS = 40


def threshold_report(
    scores: Floats, is_positive: npt.NDArray[np.bool_], positive: str, costs: Mapping[str, float]
) -> dict[str, Any]:
    """Return rows by share of alarms, gain and precision-recall curves, and the KS statistic, ready for JSON."""
    levels, hits, alarms = by_threshold(scores, is_positive)
    n, found = len(scores), float(hits[-1])
    table: list[dict[str, Any]] = []
    for rate in _ALARM_RATES:
        at = int(np.searchsorted(alarms, rate * n, "right")) - 1
        if at >= 0 and (not table or alarms[at] != table[-1]["alarms"]):
            table.append(_row(levels[at], hits[at], alarms[at], n, found, costs))
    pick = np.unique(np.linspace(0, len(levels) - 1, _POINTS).astype(int))
    share = found / n
    return {
        "positive": positive,
        "rows": n,
        "positives": int(found),
        "table": table,
        "ks": round(float((hits / max(found, 1) - (alarms - hits) / max(n - found, 1)).max()), 4),
        "gain": [[round(alarms[i] / n, 4), round(hits[i] / max(found, 1), 4)] for i in pick],
        "precision_recall": [[round(hits[i] / max(found, 1), 4), round(hits[i] / alarms[i], 4)] for i in pick],
        "lift": [
            {"share": rate, "lift": round(float(np.interp(rate * n, np.r_[0, alarms], np.r_[0, hits]) / (rate * n) / share), 3)}
            for rate in (0.01, 0.05, 0.1, 0.2, 0.5) if share > 0
        ],
    }  # fmt: skip


def _row(
    level: float, hits: float, alarms: float, n: int, found: float, costs: Mapping[str, float]
) -> dict[str, Any]:
    row = {
        "threshold": round(float(level), 5),
        "alarms": int(alarms),
        "precision": round(float(hits / alarms), 4),
        "recall": round(float(hits / max(found, 1)), 4),
    }
    if costs:
        spent = costs["false_negative"] * (found - hits) + costs["false_positive"] * (alarms - hits)
        row["cost"] = round(float(spent / n), 5)
    return row
