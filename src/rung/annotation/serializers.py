"""What the page and `--json` show of a desk, as JSON."""

from __future__ import annotations

from typing import Any

from rung.annotation.learning_curve import FORECAST_LABELS, TOLERANCE
from rung.annotation.session import LabellingSession, LabelQuery, fields_to_dict

# No more of one cell is shown: nobody reads on, and the page stays fast.
_LONGEST_CELL = 20_000


def query_to_dict(asked: LabelQuery) -> dict[str, Any]:
    """Return a row to label. Whether it is random is not told: it is to be judged like all others."""
    row = asked.row
    guess = (
        {"label": asked.suggestion[0], "sure": round(asked.suggestion[1], 3)} if asked.suggestion else None
    )
    return {"text": row.text, "cells": _cells(row.cells), "guess": guess}


def disagreements_to_dicts(desk: LabellingSession) -> list[dict[str, Any]]:
    """Return the rows that people label differently: who said what."""
    return [
        {"text": row.text, "cells": _cells(row.cells), "said": dict(sorted(verdict.said.items()))}
        for row, verdict in desk.disagreements()
    ]


def progress_to_dict(desk: LabellingSession, by: str = "") -> dict[str, Any]:
    """Return counts, the curve, whether it is enough, what more would bring, and how far people agree."""
    progress, lesson = desk.progress(by), desk.strategy.state
    stable, ahead = lesson.stability, lesson.forecast
    return {
        "labelled": progress.labelled,
        "cannot": progress.unclear,
        "random": progress.random,
        "mine": progress.mine,
        "rows": progress.rows,
        "by_label": dict(progress.by_label),
        "disagreements": progress.disagreements,
        "audit": {
            "done": progress.audit.done,
            "wanted": progress.audit.wanted,
            "whole": progress.audit.border > 0,
        },
        "curve": [fields_to_dict(point) for point in lesson.learning_curve],
        "stable": fields_to_dict(stable) | {"enough": stable.is_sufficient, "tolerance": TOLERANCE}
        if stable
        else None,
        "outlook": fields_to_dict(ahead) | {"hardly": ahead.is_negligible, "more": FORECAST_LABELS}
        if ahead
        else None,
        "agreement": [fields_to_dict(line) for line in desk.agreement()],
    }


def _cells(cells: Any) -> list[dict[str, str]]:
    shown = []
    for name, value in cells.items():
        text = "" if value is None else str(value)
        shown.append(
            {"name": name, "value": text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL] + "…"}
        )
    return shown
