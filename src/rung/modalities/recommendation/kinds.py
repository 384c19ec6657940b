"""Kinds of a recommender's fields: a history, how many suggestions, items to leave out, wishes, and the list itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from rung.core.errors import InputError
from rung.core.kind import CATEGORY, NUMBER, Kind, Reader, Scale
from rung.core.source_place import SourcePlace
from rung.core.spec.recommend import MAX_K
from rung.core.types import Field
from rung.modalities.recommendation.events import MAX_EVENTS, events_of, item_id, items_of
from rung.modalities.recommendation.wishes import WISHES, read_wishes


class _ListedKind(Kind):
    """A kind whose values are JSON, read by a function that raises ValueError. FIX: what to send instead."""

    FIX: ClassVar[str]

    def read(self, value: Any) -> Any:
        """Return a value as models get it; raises ValueError."""
        raise NotImplementedError

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            if value is None:
                return None
            try:
                return self.read(_from_text(value))
            except ValueError as error:
                raise InputError(f"'{field.name}' {error}", where, self.FIX) from None

        return read

    def request_type(self, field: Field) -> Any:
        from pydantic import AfterValidator, WithJsonSchema

        return Annotated[Any, AfterValidator(_plain), WithJsonSchema(self.json_schema(field))]

    def parse(self, cell: Any, place: SourcePlace) -> Any:
        if cell is None or cell == "":
            return None
        try:
            return self.read(_from_text(cell))
        except ValueError as error:
            raise ValueError(f"bad_{self.name}: {error}") from None

    def from_cell(self, cell: str, media: Any) -> Any:
        return json.loads(cell) if cell else None

    def from_form(self, text: str) -> Any:
        return json.loads(text) if text.strip() else None


class HistoryKind(_ListedKind):
    """What a user did, oldest first: see `events`."""

    name = "history"
    FIX = 'Send a list such as ["item-1", {"item": "item-2", "time": "2024-05-01", "weight": 5}]; [] for a newcomer.'

    def tiny(self) -> list[Any]:
        return [["a", "b"], [], [{"item": "a", "time": 5, "weight": 2}], [["a", None, 1.0]]]

    def read(self, value: Any) -> Any:
        return [list(event) for event in events_of(value)]

    def json_schema(self, field: Field) -> dict[str, Any]:
        event = {
            "type": "object",
            "required": ["item"],
            "properties": {
                "item": {"type": ["string", "number"]},
                "time": {
                    "type": ["string", "number", "null"],
                    "description": "ISO 8601, or seconds since 1970",
                },
                "weight": {"type": ["number", "null"]},
            },
        }
        return {
            "type": "array",
            "maxItems": MAX_EVENTS,
            "description": "events of one user, oldest first: ids, or objects; empty for a newcomer",
            "items": {
                "anyOf": [
                    {"type": ["string", "number"]},
                    event,
                    {"type": "array", "minItems": 1, "maxItems": 3},
                ]
            },
        }

    def widget(self, field: Field) -> dict[str, Any]:
        return {"type": "history"}

    def preview_text(self, value: Any, chars: int = 280) -> str:
        return super().preview_text(", ".join(items_of(value)), chars)

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        return {
            "events": (NUMBER, [None if value is None else len(value) for value in values]),
            "last_item": (CATEGORY, [items_of(value[-1:])[0] if value else None for value in values]),
        }


class CountKind(_ListedKind):
    """How many suggestions are wanted."""

    name = "count"
    is_optional = True
    FIX = f"Send a whole number from 1 to {MAX_K:,}."

    def tiny(self) -> list[Any]:
        return [1, 10, None]

    def read(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise ValueError("is no whole number")
        if not 1 <= value <= MAX_K:
            raise ValueError(f"is {int(value)}, which is not from 1 to {MAX_K:,}")
        return int(value)

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": MAX_K,
            "description": "suggestions wanted; default 10",
        }


class ItemListKind(_ListedKind):
    """Ids of items."""

    name = "item_list"
    is_optional = True
    FIX = 'Send a list of ids, such as ["item-1", "item-2"].'

    def tiny(self) -> list[Any]:
        return [["a", "b"], [], None]

    def read(self, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError(f"must be a list of ids, not {type(value).__name__}")
        if len(value) > MAX_EVENTS:
            raise ValueError(f"has {len(value):,} ids; at most {MAX_EVENTS:,} are read")
        return [item_id(item) for item in value]

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {
            "type": ["array", "null"],
            "maxItems": MAX_EVENTS,
            "items": {"type": ["string", "number"]},
            "description": "ids of items that are not wanted",
        }


class WishesKind(_ListedKind):
    """What a request wishes of the list: see `wishes`."""

    name = "wishes"
    is_optional = True
    FIX = 'Send an object such as {"categories": ["Comedy"], "diversity": 0.3}.'

    def tiny(self) -> list[Any]:
        return [{"diversity": 0.3}, {}, None]

    def read(self, value: Any) -> Any:
        return read_wishes(value)

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {"type": ["object", "null"], "properties": dict(WISHES), "additionalProperties": False}


class RecommendationsKind(Kind):
    """A ranked list of items; as a target, the events that came later."""

    name = "recommendations"

    def tiny(self) -> list[Any]:
        return [["a", "b"], []]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            try:
                return None if value is None else items_of(value)
            except (ValueError, KeyError, IndexError, TypeError):
                fix = 'Send the items that were taken, such as ["item-1", "item-2"].'
                raise InputError(f"'{field.name}' is no list of items", where, fix) from None

        return read

    def from_cell(self, cell: str, media: Any) -> Any:
        return json.loads(cell) if cell else None

    def preview_text(self, value: Any, chars: int = 280) -> str:
        return super().preview_text(", ".join(items_of(value)), chars)

    def measure(self, values: Sequence[Any]) -> Mapping[str, tuple[Scale, Sequence[Any]]]:
        return {
            "items": (NUMBER, [None if value is None else len(value) for value in values]),
            "first_item": (CATEGORY, [items_of(value[:1])[0] if value else None for value in values]),
        }

    def json_schema(self, field: Field) -> dict[str, Any]:
        reason = {
            "type": "object",
            "properties": {
                "item": {"type": "string"},
                "title": {"type": "string"},
                "weight": {"type": "number"},
            },
        }
        item = {
            "type": "object",
            "required": ["item", "score"],
            "properties": {
                "item": {"type": "string"},
                "title": {"type": "string"},
                "categories": {"type": "array", "items": {"type": "string"}},
                "score": {"type": "number"},
                "propensity": {
                    "type": "number",
                    "description": "probability with which the item stands at this place, where the server explores",
                },
                "because": {
                    "type": "array",
                    "items": reason,
                    "description": "events of the history that stand behind the suggestion, strongest first",
                },
            },
        }
        return {"type": "array", "items": item}


def _plain(value: Any) -> Any:
    """Return a value that is JSON for every reader; the parser also takes NaN, infinity and endless integers."""
    json.dumps(value, allow_nan=False)
    return value


def _from_text(value: Any) -> Any:
    """Return what a cell of a table holds: JSON as text is read, anything else is as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError(f"holds '{value[:40]}', which is not JSON") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
