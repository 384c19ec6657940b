"""What the page and `--json` show of a desk, as JSON."""

from __future__ import annotations

from typing import Any

from rung.annotation.learning_curve import MORE, TOLERANCE
from rung.annotation.session import LabellingSession, LabelQuery, as_dict

# No more of one cell is shown: nobody reads on, and the page stays fast.
_LONGEST_CELL = 20_000


def query_to_dict(asked: LabelQuery) -> dict[str, Any]:
    """Return a row to label. Whether it is random is not told: it is to be judged like all others."""
    row = asked.row
    guess = {"label": asked.guess[0], "sure": round(asked.guess[1], 3)} if asked.guess else None
    return {"text": row.text, "cells": _cells(row.cells), "guess": guess}


def disagreements_to_dicts(desk: LabellingSession) -> list[dict[str, Any]]:
    """Return the rows that people label differently: who said what."""
    return [
        {"text": row.text, "cells": _cells(row.cells), "said": dict(sorted(verdict.said.items()))}
        for row, verdict in desk.disagreements()
    ]


def progress_to_dict(desk: LabellingSession, by: str = "") -> dict[str, Any]:
    """Return counts, the curve, whether it is enough, what more would bring, and how far people agree."""
    progress, lesson = desk.progress(by), desk.tutor.lesson
    stable, ahead = lesson.stable, lesson.outlook
    return {
        "labelled": progress.labelled,
        "cannot": progress.cannot,
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
        "curve": [as_dict(point) for point in lesson.curve],
        "stable": as_dict(stable) | {"enough": stable.enough, "tolerance": TOLERANCE} if stable else None,
        "outlook": as_dict(ahead) | {"hardly": ahead.hardly, "more": MORE} if ahead else None,
        "agreement": [as_dict(line) for line in desk.agreement()],
    }


def _cells(cells: Any) -> list[dict[str, str]]:
    shown = []
    for name, value in cells.items():
        text = "" if value is None else str(value)
        shown.append(
            {"name": name, "value": text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL] + "…"}
        )
    return shown
