"""What a request, or the product, wishes of a ranked list: items blocked or pinned, categories, price, variety."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rung.core.errors import did_you_mean
from rung.core.spec.recommend import MAX_K
from rung.modalities.recommendation.events import item_id
from rung.modalities.recommendation.item_content import MOST_NEW, read_new_items

_MOST_LISTED = 10_000
_MOST_KNOWN, _MOST_KNOWN_CHARS = 20, 200
_IDS = {"type": "array", "items": {"type": ["string", "number"]}}
# The JSON schema of each wish.
WISHES: Mapping[str, Mapping[str, Any]] = {
    "block": {**_IDS, "description": "ids that are never suggested"},
    "pin": {**_IDS, "description": "ids that stand first, in this order, unless seen or blocked"},
    "categories": {
        "type": "array",
        "items": {"type": "string"},
        "description": "suggest only items of these",
    },
    "without": {
        "type": "array",
        "items": {"type": "string"},
        "description": "suggest no items of these categories",
    },
    "most_per_category": {"type": "integer", "minimum": 1, "maximum": MAX_K},
    "most_price": {
        "type": "number",
        "minimum": 0,
        "description": "suggest no dearer items, and none without a price",
    },
    "diversity": {"type": "number", "minimum": 0, "maximum": 1},
    "freshness": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "weight of being new against the score",
    },
    "user": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "what is known of the user, by the columns of `recommend.users`: it chooses what is popular",
    },
    "seen": {
        "enum": ["leave_out", "keep"],
        "description": "whether items of the history may be suggested again",
    },
    "new_items": {
        "type": "array",
        "maxItems": MOST_NEW,
        "items": {
            "type": "object",
            "required": ["item"],
            "properties": {
                "item": {"type": ["string", "number"]},
                "title": {"type": "string"},
                "text": {"type": "string"},
                "categories": {"type": "array", "items": {"type": "string"}},
                "price": {"type": ["number", "null"]},
            },
            "additionalProperties": False,
        },
        "description": "items that the model was not built with, ranked by their content among the others where the model reads content",
    },
}


@dataclass(frozen=True)
class Wishes:
    """See `WISHES` for each; the defaults wish nothing."""

    block: tuple[str, ...] = ()
    pin: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    most_per_category: int | None = None
    most_price: float | None = None
    diversity: float = 0.0
    freshness: float = 0.0
    fresh_days: float = 30.0
    seen: str = "leave_out"
    new_items: tuple[Mapping[str, Any], ...] = ()
    user: Mapping[str, str] = field(default_factory=dict)

    def changed(self, asked: Mapping[str, Any] | None) -> Wishes:
        """Return these wishes with those of a request in their place, as `read_wishes` gave them."""
        if not asked:
            return self
        found: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in asked.items()}
        return replace(self, **found)

    @property
    def reorders(self) -> bool:
        """Return whether the list may differ from the order of the scores, seen items aside."""
        return bool(self.rules)

    @property
    def rules(self) -> dict[str, Wishes]:
        """Return each wish that may change the order of the scores, by itself."""
        plain = Wishes(seen=self.seen, fresh_days=self.fresh_days, new_items=self.new_items, user=self.user)
        names = [f.name for f in fields(self) if getattr(self, f.name) != getattr(plain, f.name)]
        return {name: replace(plain, **{name: getattr(self, name)}) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """Return what differs from no wish at all, as JSON."""
        none = Wishes()
        found = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != getattr(none, f.name)
        }
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Wishes:
        """Return what `as_dict` wrote."""
        return Wishes().changed(raw)


def read_wishes(value: Any) -> dict[str, Any]:
    """Return the wishes of a request as plain values; raises ValueError for unknown ones and wrong types."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be an object, not {type(value).__name__}")
    return {str(key): _read(str(key), wish) for key, wish in value.items() if wish is not None}


def _read(key: str, value: Any) -> Any:
    if key not in WISHES:
        raise ValueError(f"has the unknown key '{key[:40]}'. {did_you_mean(key[:40], WISHES)}")
    if key in {"block", "pin", "categories", "without"}:
        if not isinstance(value, list | tuple):
            raise ValueError(f"needs a list in '{key}'")
        if len(value) > _MOST_LISTED:
            raise ValueError(f"lists {len(value):,} in '{key}'; at most {_MOST_LISTED:,} are read")
        return [item_id(item) for item in value]
    if key == "new_items":
        return read_new_items(value)
    if key == "user":
        return _about(value)
    if key == "seen":
        if value not in {"leave_out", "keep"}:
            raise ValueError("needs leave_out or keep in 'seen'")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise ValueError(f"needs a number in '{key}'")
    if key == "most_per_category" and (value != int(value) or not 1 <= value <= MAX_K):
        raise ValueError(f"needs a whole number from 1 to {MAX_K:,} in 'most_per_category'")
    if key in {"diversity", "freshness"} and not 0 <= value <= 1:
        raise ValueError(f"needs a number from 0 to 1 in '{key}'")
    if key == "most_price" and value < 0:
        raise ValueError("needs a price of 0 or more in 'most_price'")
    return int(value) if key == "most_per_category" else float(value)


def _about(value: Any) -> dict[str, str]:
    """Return what is known of a user as texts; raises ValueError."""
    if not isinstance(value, Mapping) or len(value) > _MOST_KNOWN:
        raise ValueError(f"needs an object of at most {_MOST_KNOWN} columns in 'user'")
    return {
        str(column)[:_MOST_KNOWN_CHARS]: item_id(known)[:_MOST_KNOWN_CHARS] for column, known in value.items()
    }
