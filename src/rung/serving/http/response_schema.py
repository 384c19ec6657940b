"""JSON schemas of a model's responses, from the columns of its task and the kinds of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.kind import MediaKind, kind
from rung.core.types import Schema
from rung.serving.model_registry import LoadedModel

TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
# What an input may hold, such as items of a catalogue; empty for models that offer nothing.
CHOICES = {
    "type": "object",
    "required": ["choices"],
    "properties": {
        "choices": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["value", "label"],
                "properties": {"value": TEXT, "label": TEXT},
            },
        }
    },
}
# Id of a prediction in the journal.
_ID = {
    "type": "string",
    "pattern": "^[0-9a-f]{32}$",
    "description": "id for feedback; only if the server keeps a journal",
}
EXAMPLE_ID = "0192f0c4a1b2000031c9d7e05b8a4f66"
ROW_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {**TEXT, "description": "why this row cannot be answered"}},
    "additionalProperties": False,
}
_REASONS = {
    "type": "array",
    "description": "parts of the input that decided, strongest first; only on request",
    "items": {
        "type": "object",
        "required": ["text", "weight"],
        "properties": {
            "text": TEXT,
            "weight": {"type": "number"},
            "region": {
                "type": "array",
                "description": "of an image: x, y, width, height as shares of its upright width and height",
                "items": {"type": "number", "minimum": 0, "maximum": 1},
                "minItems": 4,
                "maxItems": 4,
            },
        },
    },
}
MODEL = {
    "type": "object",
    "required": ["name", "version", "task", "rung", "endpoint", "certified", "schema", "inputs", "max_rows", "streams"],
    "properties": {
        **dict.fromkeys(("name", "version", "task", "rung", "endpoint"), TEXT),
        "certified": FLAG,
        "certificate": {"type": ["object", "null"]},
        "claim": {"type": ["string", "null"], "description": "what the certificate says, in the caller's language"},
        "schema": {"type": "object"},
        "inputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "kind", "widget", "schema"],
                "properties": {"name": TEXT, "kind": TEXT, "widget": {"type": "object"}, "schema": {"type": "object"}},
            },
        },
        "example": {
            "type": ["object", "null"],
            "description": "inputs of one training row, without files; only for the roles review and admin",
        },
        "max_rows": {"type": "integer", "description": "most rows of one request"},
        "streams": {**FLAG, "description": "whether /stream sends pieces before the answer"},
    },
}  # fmt: skip


_EXPLORATION = {
    "type": "object",
    "description": "present where the server explores: whether this answer was drawn at random, the share of answers that are, among how many "
    "candidates, and the number of the draw, from which it follows",
    "properties": {
        "explored": FLAG,
        "share": {"type": "number"},
        "among": {"type": "integer"},
        "draw": TEXT,
    },
}
_CACHED = {**FLAG, "description": "present and true where an earlier answer to the same row was given again"}
_ABSTAINED = {**FLAG, "description": "present and true where a person should answer"}


def answer_schema(loaded: LoadedModel) -> dict[str, Any]:
    """Return the schema of one prediction. Fields that depend on the request or the row are optional."""
    predictor = loaded.predictor
    columns = predictor.task.columns(predictor.schema, True)
    properties = {field.name: kind(field.kind).json_schema(field) for field in columns}
    required = [field.name for field in predictor.schema.outputs[:1]]
    example = {
        field.name: _example(properties[field.name])
        for field in columns
        if not field.name.startswith("score:")
    }
    return {
        "type": "object",
        "required": [*required, "answered_by"],
        "properties": {
            **properties,
            "answered_by": TEXT,
            "abstained": _ABSTAINED,
            "cached": _CACHED,
            **({"exploration": _EXPLORATION} if predictor.task.takes_exploration else {}),
            "reasons": _REASONS,
            "id": _ID,
        },
        "examples": [{**example, "answered_by": loaded.manifest.model, "id": EXAMPLE_ID}],
    }


def response_schema(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of the response of predict and explain. answer: the schema of a row, or a reference to it."""
    return {
        "type": "object",
        "required": ["model", "version", "certified", "predictions"],
        "properties": {
            "model": TEXT,
            "version": TEXT,
            "certified": FLAG,
            "predictions": {
                "type": "array",
                "items": {"anyOf": [answer, {"$ref": "#/components/schemas/RowError"}]},
            },
        },
    }


def event_schema(response: Mapping[str, Any], error: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of one server-sent event of a stream."""
    piece = {"type": "object", "required": ["text"], "properties": {"text": TEXT}}
    return {
        "type": "object",
        "description": "`piece` events as they come, then `answer` with the response of predict, or `error`",
        "required": ["event", "data"],
        "properties": {
            "event": {"enum": ["piece", "answer", "error"]},
            "data": {
                **TEXT,
                "contentMediaType": "application/json",
                "contentSchema": {"anyOf": [piece, response, error]},
            },
        },
    }


def form_schema(schema: Schema, one_row: bool = False) -> dict[str, Any]:
    """Return the schema of a form: one part per input, repeated for more rows, and options."""
    parts: dict[str, Any] = {
        "scores": FLAG,
        "explain": FLAG,
        "subject": {**TEXT, "minLength": 1, "maxLength": 200},
    }
    required = [field.name for field in schema.inputs if not kind(field.kind).is_optional]
    for field in schema.inputs:
        known = kind(field.kind)
        part: dict[str, Any] = dict(TEXT)
        if isinstance(known, MediaKind):
            part = {"type": "string", "format": "binary", "contentMediaType": known.accepts}
        parts[field.name] = part if one_row else {"anyOf": [part, {"type": "array", "items": part}]}
    return {"type": "object", "required": required, "properties": parts}


def _example(schema: Mapping[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    return {"number": 0.5, "array": [], "object": {}}.get(schema.get("type", ""), "...")
