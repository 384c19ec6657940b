"""Answers that must follow a JSON schema: what schemas may say, and the check that never trusts a server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rung.core.errors import MissingExtra, RungError
from rung.runtime.llm.errors import InvalidAnswer

# Keywords tried against llama.cpp's grammars and kept by strict modes of the clouds. Others may be ignored in silence:
# llama.cpp answers an unsupported pattern with unconstrained text and status 200.
SUPPORTED = frozenset(
    {
        "type", "properties", "required", "additionalProperties", "enum", "const", "items", "minItems", "maxItems",
        "title", "description", "minLength", "maxLength",
    }
)  # fmt: skip
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.S)


def check_schema(schema: Mapping[str, Any], where: str = "schema") -> None:
    """Raise RungError for a keyword outside the tested subset."""
    for key, value in schema.items():
        if key not in SUPPORTED:
            fix = f"Supported: {', '.join(sorted(SUPPORTED))}. Check the rest yourself after the answer."
            raise RungError(f"the schema keyword '{key}' is not enforced by every server", where, fix)
        if key == "type" and value not in _TYPES:
            raise RungError(
                f"'{value}' is not a JSON type", f"{where}.type", f"One of {', '.join(sorted(_TYPES))}."
            )
        if key == "properties":
            for name, inner in value.items():
                check_schema(inner, f"{where}.{name}")
        elif key == "items":
            check_schema(value, f"{where}.items")


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `response_format` of a request."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema), "strict": True}}


def instructions(schema: Mapping[str, Any]) -> str:
    """Return a sentence that asks for the schema, for servers without support for it."""
    return f"Answer with one JSON value that follows this JSON schema, and nothing else: {json.dumps(schema, ensure_ascii=False)}"


def validated(text: str, schema: Mapping[str, Any], where: str) -> Any:
    """Return the JSON value of an answer that follows the schema; raises InvalidAnswer.

    A code fence or text around one JSON value is removed; nothing else is mended.
    """
    try:
        import jsonschema
    except ImportError:
        raise MissingExtra("checking the answers of a language model", "llm", "jsonschema") from None
    value = _json_in(text, where)
    validator = jsonschema.Draft202012Validator(dict(schema))
    problem = next(iter(validator.iter_errors(value)), None)
    if problem is not None:
        place = ".".join(map(str, problem.absolute_path)) or "the value"
        raise InvalidAnswer(f"the answer does not follow the schema: {place}: {problem.message[:200]}", where)
    return value


def _json_in(text: str, where: str) -> Any:
    """Return the one JSON value in a text."""
    fenced = _FENCE.match(text)
    plain = (fenced[1] if fenced else text).strip()
    try:
        return json.loads(plain)
    except ValueError:
        pass
    start = min((place for place in (plain.find("{"), plain.find("[")) if place >= 0), default=-1)
    if start >= 0:
        try:
            return json.JSONDecoder().raw_decode(plain[start:])[0]
        except ValueError:
            pass
    raise InvalidAnswer(f"the answer is not JSON: {text[:120]!r}", where)
