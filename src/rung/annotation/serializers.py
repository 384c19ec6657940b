"""Convert the state of a labelling session to the JSON of the page and of `--json`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from rung.annotation.learning_curve import FORECAST_LABELS, TOLERANCE
from rung.annotation.session import LabellingSession, LabelQuery
from rung.core.blobs import Blob
from rung.core.errors import RungError
from rung.core.kind import media_kinds
from rung.modalities.images.reading import read_sizes

# Longer cells are cut off, so that the page stays fast.
_MAX_CELL_CHARS = 20_000


def query_to_dict(query: LabelQuery) -> dict[str, Any]:
    """Return a row to label. Its zone is left out, so that all rows are labelled in the same way."""
    suggestion = None
    if query.suggestion:
        suggestion = {"label": query.suggestion[0], "sure": round(query.suggestion[1], 3)}
    return {"text": query.row.text, "cells": _cells(query.row.cells), "guess": suggestion}


def disagreements_to_dicts(session: LabellingSession) -> list[dict[str, Any]]:
    """Return the disputed rows, each with the labels of its annotators."""
    return [
        {"text": row.text, "cells": _cells(row.cells), "said": dict(sorted(verdict.said.items()))}
        for row, verdict in session.disagreements()
    ]


def progress_to_dict(session: LabellingSession, by: str = "") -> dict[str, Any]:
    """Return counts, learning curve, stopping rule, forecast and agreement.

    by: the annotator that `mine` counts.
    """
    progress, state = session.progress(by), session.strategy.state
    stable, forecast = state.stability, state.forecast
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
        "curve": [dict(vars(point)) for point in state.learning_curve],
        "stable": vars(stable) | {"enough": stable.is_sufficient, "tolerance": TOLERANCE} if stable else None,
        "outlook": vars(forecast) | {"hardly": forecast.is_negligible, "more": FORECAST_LABELS}
        if forecast
        else None,
        "agreement": [dict(vars(pair)) for pair in session.agreement()],
    }


def _cells(cells: Any) -> list[dict[str, Any]]:
    """Return the cells as people see them: texts, and media as pictures with their name."""
    shown = []
    for name, value in cells.items():
        if isinstance(value, Blob):
            shown.append({"name": name, "value": value.shown(), **_seen(value)})
            continue
        text = "" if value is None else str(value)
        if len(text) > _MAX_CELL_CHARS:
            text = text[:_MAX_CELL_CHARS] + "…"
        shown.append({"name": name, "value": text})
    return shown


def _seen(value: Blob) -> dict[str, Any]:
    """Return media as a `picture`, and of an image its `size` in pixels, for boxes on it."""
    picture = _picture(value)
    if not picture:
        return {"picture": ""}
    with suppress(RungError):
        return {"picture": picture, "size": read_sizes([value])[0].tolist()}
    return {"picture": picture}


def _picture(value: Blob) -> str:
    """Return media as a data URI, by the first kind that can show it; "" where none can."""
    for known in dict.fromkeys(media_kinds().values()):
        try:
            if picture := known.picture(value):
                return picture
        except RungError:  # The packages that read this kind are not installed.
            continue
    return ""
