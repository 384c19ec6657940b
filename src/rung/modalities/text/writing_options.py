"""What a request may ask of a written text beside its prompt: length, temperature, a seed; all bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from rung.core.errors import InputError, did_you_mean
from rung.core.kind import Kind, Reader
from rung.core.source_place import SourcePlace
from rung.core.spec.writing import MOST_CANDIDATES, MOST_CHARS
from rung.core.types import Field

MOST_STOPS, MOST_STOP_CHARS, MOST_SEED = 4, 40, 2**31 - 1
_FIX = 'Send an object such as {"max_chars": 200, "temperature": 0.7, "seed": 1}.'
# The JSON schema of each option; numbers are read by their limits here.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "max_chars": {"type": "integer", "minimum": 1, "maximum": MOST_CHARS, "description": "characters, at most; never more than the product allows"},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "description": "0: always the likeliest"},
    "top_k": {"type": "integer", "minimum": 0, "maximum": 1_000, "description": "draw among so many; 0: among all"},
    "top_p": {"type": "number", "minimum": 0.01, "maximum": 1, "description": "draw among the likeliest that reach this probability together"},
    "seed": {"type": "integer", "minimum": 0, "maximum": MOST_SEED, "description": "the same seed and prompt give the same text"},
    "candidates": {"type": "integer", "minimum": 1, "maximum": MOST_CANDIDATES, "description": "texts to draw, of which the best is answered"},
    "stop": {"type": "array", "maxItems": MOST_STOPS, "items": {"type": "string"}, "description": "the text ends before any of these"},
}  # fmt: skip


@dataclass(frozen=True)
class WritingOptions:
    """See `OPTIONS`. temperature: None leaves it to the model."""

    max_chars: int = MOST_CHARS
    temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    candidates: int | None = None
    stop: tuple[str, ...] = ()

    @staticmethod
    def of(value: Mapping[str, Any] | None) -> WritingOptions:
        """Return the options of a request, as `read_options` gave them."""
        found: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in (value or {}).items()}
        return replace(WritingOptions(), **found)


def read_options(value: Any) -> dict[str, Any]:
    """Return the options of a request as plain values; raises ValueError for unknown ones, wrong types and what is out of bounds."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must be an object, not {type(value).__name__}")
    return {str(key): _read(str(key), option) for key, option in value.items() if option is not None}


def _read(key: str, value: Any) -> Any:
    known = OPTIONS.get(key)
    if known is None:
        raise ValueError(f"has the unknown key '{key[:40]}'. {did_you_mean(key[:40], OPTIONS)}")
    if key == "stop":
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or len(texts) > MOST_STOPS:
            raise ValueError(f"needs at most {MOST_STOPS} texts in 'stop'")
        if not all(isinstance(text, str) and 0 < len(text) <= MOST_STOP_CHARS for text in texts):
            raise ValueError(f"needs texts of 1 to {MOST_STOP_CHARS} characters in 'stop'")
        return list(texts)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise ValueError(f"needs a number in '{key}'")
    if not known["minimum"] <= value <= known["maximum"]:
        raise ValueError(f"needs a number from {known['minimum']} to {known['maximum']} in '{key}'")
    if known["type"] == "integer":
        if value != int(value):
            raise ValueError(f"needs a whole number in '{key}'")
        return int(value)
    return float(value)


class WritingOptionsKind(Kind):
    """Options of a written text; a row or a request may lack them."""

    name = "writing_options"
    is_optional = True

    def tiny(self) -> list[Any]:
        return [{"max_chars": 20, "temperature": 0.5}, {"stop": ["\n"]}, {}, None]

    def reader(self, field: Field) -> Reader:
        def read(value: Any, where: str) -> Any:
            if value is None or value == "":
                return None
            try:
                return read_options(json.loads(value) if isinstance(value, str) else value)
            except ValueError as error:
                raise InputError(f"'{field.name}' {error}", where, _FIX) from None

        return read

    def request_type(self, field: Field) -> Any:
        from pydantic import WithJsonSchema

        return Annotated[Any, WithJsonSchema(self.json_schema(field))]

    def json_schema(self, field: Field) -> dict[str, Any]:
        return {
            "type": ["object", "null"], "properties": {key: dict(own) for key, own in OPTIONS.items()},
            "additionalProperties": False,
        }  # fmt: skip

    def parse(self, cell: Any, place: SourcePlace) -> Any:
        if cell is None or cell == "":
            return None
        try:
            return read_options(json.loads(cell) if isinstance(cell, str) else cell)
        except ValueError as error:
            raise ValueError(f"bad_{self.name}: {error}") from None

    def from_cell(self, cell: str, media: Any) -> Any:
        return json.loads(cell) if cell else None

    def identity(self, value: Any) -> str:
        # What a row asks is its prompt.
        return ""
