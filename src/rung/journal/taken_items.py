"""Feedback that names one item of a list that was answered: a click, a purchase. Each is a record; together they are what was taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rung.core.errors import InputError
from rung.journal.schema import ACTION_KEY

# As {"rung": "take", "label": [item]}: the label derives from the input, so it is stored apart and can be erased.
TAKE = "take"


def take(item: str) -> dict[str, Any]:
    """Return the stored answer of a feedback that names an item."""
    return {ACTION_KEY: TAKE, "label": [item]}


def taken(answer: Any) -> list[str] | None:
    """Return the items that an answer of feedback takes; None for any other feedback."""
    if not isinstance(answer, Mapping) or answer.get(ACTION_KEY) != TAKE:
        return None
    return [str(item) for item in answer.get("label") or ()]


def listed_items(output: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the items of a stored answer, in the order in which they were shown; [] where it holds no list, or none is stored."""
    found = next((value for value in output.values() if isinstance(value, list)), [])
    return [item for item in found if isinstance(item, Mapping) and isinstance(item.get("item"), str)]


def require_listed(item: str, output: Mapping[str, Any]) -> None:
    """Raise InputError unless an item stands in a stored answer."""
    shown = [str(entry["item"]) for entry in listed_items(output)]
    if not shown:
        fix = "Set RUNG_MASTER_KEY before `rung serve`, or write `serve: {inputs: plain}`; of other models send `answer`."
        raise InputError("the journal holds no list of this prediction", "item", fix)
    if item not in shown:
        names = ", ".join(shown[:5])
        raise InputError(
            f"'{item[:60]}' was not in this list", "item", f"Send an item that was shown, such as {names}."
        )


def clicks(feedback: Iterable[Any]) -> dict[str, frozenset[str]]:
    """Return prediction -> items taken, over all records of feedback in their order. feedback: `LoggedFeedback`.

    A full answer that names a list (what came later) counts for those of its items that were shown.
    """
    found: dict[str, set[str]] = {}
    for one in feedback:
        items = taken(one.answer)
        if items is None and isinstance(one.answer, Sequence) and not isinstance(one.answer, str):
            items = [entry if isinstance(entry, str) else _item(entry) for entry in one.answer]
        if items is not None:
            found.setdefault(one.prediction, set()).update(items)
    return {prediction: frozenset(items) for prediction, items in found.items()}


def _item(entry: Any) -> str:
    """Return the id of an event as feedback may name it: {"item": id, ...} or [id, time, weight]."""
    if isinstance(entry, Mapping):
        return str(entry.get("item", ""))
    return str(entry[0]) if isinstance(entry, Sequence) and entry else str(entry)
