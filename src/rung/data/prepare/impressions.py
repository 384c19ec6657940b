"""Reads the table of what was shown: a row an item shown; rows that cannot be used are counted by their reason."""

from __future__ import annotations

from typing import Any

from rung.core.errors import DataError, RungError
from rung.core.scalars import as_boolean, is_missing, scalar_text
from rung.core.spec.recommend import ImpressionsSpec
from rung.data.sources.read import Source, read_rows
from rung.modalities.recommendation.events import item_id
from rung.modalities.recommendation.impressions import Shown

_WORDS = {"yes": True, "y": True, "no": False, "n": False, "是": True, "否": False}


def count_impressions(source: Source, spec: ImpressionsSpec) -> Shown:
    """Return what was shown and clicked. Raises DataError for a missing column, and where no row can be used."""
    keys = {
        "item": spec.item,
        "clicked": spec.clicked,
        "position": spec.position,
        "propensity": spec.propensity,
    }
    for key, column in keys.items():
        if column is not None:
            source.require(column, f"recommend.impressions.{key}")
    found = Shown()
    for row in read_rows(source, (spec.item,)):
        if row.values is None:
            found.left_out["unreadable"] += 1
            continue
        try:
            found.add(*_read(row.values, spec))
        except _Refused as refused:
            found.left_out[refused.reason] += 1
    if not found.shown:
        reasons = ", ".join(f"{n} {reason}" for reason, n in found.left_out.items())
        raise DataError(
            f"none of its rows can be used: {reasons}", source.name, "Check `recommend.impressions`."
        )
    return found


class _Refused(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _read(values: dict[str, Any], spec: ImpressionsSpec) -> tuple[str, int, bool, float | None]:
    try:
        item = item_id(values.get(spec.item))
    except (ValueError, RungError):
        item = ""
    if not item:
        raise _Refused("missing_item")
    clicked = _yes_or_no(values.get(spec.clicked))
    if clicked is None:
        raise _Refused("bad_click")
    position, propensity = 0, None
    if spec.position is not None:
        place = _number(values.get(spec.position))
        if place is None or place < 1 or place != int(place):
            raise _Refused("bad_position")
        position = int(place)
    if spec.propensity is not None:
        propensity = _number(values.get(spec.propensity))
        if propensity is None or not 0.0 < propensity <= 1.0:
            raise _Refused("bad_propensity")
    return item, position, clicked, propensity


def _yes_or_no(cell: Any) -> bool | None:
    """Return what a cell says; None where it is neither."""
    text = scalar_text(cell).strip().casefold()
    return _WORDS[text] if text in _WORDS else as_boolean(text)


def _number(cell: Any) -> float | None:
    if cell is None or is_missing(cell, "number"):
        return None
    try:
        found = float(scalar_text(cell))
    except ValueError:
        return None
    return found if abs(found) < 1e15 else None
