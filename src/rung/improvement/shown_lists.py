"""Reads lists that another system has shown, with their propensities and clicks, so that a model can be judged by them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, InputError
from rung.core.kind import kind
from rung.core.types import Field
from rung.improvement.off_policy import Impression

_MOST = 100_000
_FIX = 'Write a line as {"history": ["a"], "items": [{"item": "b", "propensity": 0.2}], "clicked": ["b"]}.'


def read_shown_lists(path: Path) -> tuple[list[dict[str, Any]], list[Impression]]:
    """Return the rows to ask a model, and what was shown for each. A line: history, items (item and propensity, in order), clicked;
    also exclude and context, as requests have them.

    Raises DataError with the line for one that cannot be read: a line left out by mistake would bias what is estimated.
    """
    kinds = {"history": "history", "exclude": "item_list", "context": "wishes"}
    readers = {name: kind(known).reader(Field(name, known, "input")) for name, known in kinds.items()}
    rows, impressions = list[dict[str, Any]](), list[Impression]()
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path.name}, line {number}"
            if len(rows) == _MOST:
                raise DataError(
                    f"it has more than {_MOST:,} lists", where, "Replay a part of them, drawn at random."
                )
            try:
                raw = json.loads(line)
                shown = _impression(raw)
                row = {name: read(raw.get(name), where) for name, read in readers.items()}
            except InputError as error:
                raise DataError(error.problem, where, error.fix) from None
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise DataError(f"the line cannot be read: {str(error)[:80]}", where, _FIX) from None
            rows.append({**row, "history": row["history"] or [], "k": len(shown.items)})
            impressions.append(shown)
    return rows, impressions


def _impression(raw: dict[str, Any]) -> Impression:
    """Return what a line says was shown; raises ValueError, KeyError or TypeError."""
    items = [str(one["item"]) for one in raw["items"]]
    propensities = [float(one["propensity"]) for one in raw["items"]]
    if not items or not all(math.isfinite(p) and 0.0 < p <= 1.0 for p in propensities):
        raise ValueError("a list needs items, each with a propensity above 0 and at most 1")
    if len(set(items)) < len(items):
        raise ValueError("an item stands in the list twice")
    clicked = frozenset(map(str, raw.get("clicked") or ()))
    if not clicked <= set(items):
        raise ValueError("an item was clicked that is not in the list")
    return Impression(tuple(items), tuple(propensities), clicked)
