"""The OpenAPI document of the models served now, generated at each request because models can be replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from rung.core.kind import MediaKind, kind
from rung.core.types import Schema
from rung.serving.http.access import ENDPOINTS, PUBLIC
from rung.serving.http.schemas import FeedbackRequest, SubjectRequest
from rung.serving.model_registry import LoadedModel

_TEXT = {"type": "string"}
_ERROR = {
    "type": "object",
    "required": ["problem", "where", "fix"],
    "properties": {"problem": _TEXT, "where": _TEXT, "fix": _TEXT},
}
_SUMMARIES = {
    "/healthz": "Liveness: the server is running",
    "/readyz": "Readiness: models are loaded and the journal is writable",
    "/metrics": "Metrics in the Prometheus text format",
    "/v1/models": "List the models",
    "/v1/models/{name}": "A model's schema and certificate",
    "/v1/models/{name}/reload": "Load a model's bundle again and replace the running one",
    "/v1/feedback": "Send the correct answer of a prediction",
    "/v1/predictions/{id}": "A prediction with its input and feedback",
    "/v1/subjects/export": "Export everything the journal holds about a data subject",
    "/v1/subjects/erase": "Erase a data subject's inputs permanently",
}
_BODIES: dict[str, type[BaseModel]] = {
    "/v1/feedback": FeedbackRequest,
    "/v1/subjects/export": SubjectRequest,
    "/v1/subjects/erase": SubjectRequest,
}
_ERRORS = {
    "400": "The request was cut off", "401": "No valid API key", "403": "Role not allowed", "404": "Not found",
    "408": "The body arrived too slowly", "413": "Body too large", "415": "Compressed body", "422": "Invalid request",
    "429": "Too many requests: see Retry-After", "503": "Temporarily unavailable: see Retry-After",
}  # fmt: skip


def build_openapi(models: Sequence[LoadedModel], version: str, keys: bool) -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, Any] = {}
    seen: set[str] = set()
    for loaded in models:
        name = loaded.manifest.name
        first = name not in seen
        seen.add(name)
        base = f"/v1/models/{name}" + ("" if first else f"/versions/{loaded.manifest.version}")
        for action, words in (
            ("predict", f"Predict with {name}"),
            ("explain", f"Predict with {name} and explain"),
            ("stream", f"Predict one row with {name} and stream the answer as server-sent events"),
        ):
            body = _component(loaded.request, schemas, suffix="" if first else f"-{loaded.manifest.version}")
            plain = _operation(
                words, f"{action}_{name}" if first else f"{action}_{name}_{loaded.manifest.version}"
            )
            if action == "stream":
                plain["responses"]["200"]["content"] = {"text/event-stream": {"schema": _TEXT}}
            content = {
                "application/json": {"schema": body},
                "multipart/form-data": {"schema": _form(loaded.manifest.schema)},
            }
            paths[f"{base}/{action}"] = {
                "post": plain | {"requestBody": {"required": True, "content": content}}
            }
    for endpoint in ENDPOINTS:
        if endpoint.path not in _SUMMARIES:
            continue
        verb = endpoint.method.lower()
        operation = _operation(_SUMMARIES[endpoint.path], f"{verb}{endpoint.path.replace('/', '_')}")
        if endpoint.path in _BODIES:
            operation |= _request_body(_component(_BODIES[endpoint.path], schemas))
        names = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
        if names:
            operation["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ]
        if endpoint.roles is PUBLIC:
            operation["security"] = []
        paths.setdefault(endpoint.path, {})[verb] = operation
    components: dict[str, Any] = {"schemas": schemas}
    document: dict[str, Any] = {"openapi": "3.1.0", "info": {"title": "rung", "version": version}}
    if keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document | {"paths": paths, "components": components}


def _operation(summary: str, operation_id: str) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses: dict[str, Any] = {"200": {"description": "OK"}, "201": {"description": "Created"}}
    responses |= {status: {"description": words, "content": error} for status, words in _ERRORS.items()}
    return {"summary": summary, "operationId": operation_id, "responses": responses}


def _request_body(reference: dict[str, str]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}


def _form(schema: Schema) -> dict[str, Any]:
    """Return the schema of a form: a part for each input, repeated for more rows, and options."""
    parts: dict[str, Any] = {"scores": {"type": "boolean"}, "explain": {"type": "boolean"}, "subject": _TEXT}
    for field in schema.inputs:
        known = kind(field.kind)
        if isinstance(known, MediaKind):
            file = {"type": "string", "format": "binary", "contentMediaType": known.accepts}
            parts[field.name] = {"anyOf": [file, {"type": "array", "items": file}]}
        else:
            parts[field.name] = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
    return {"type": "object", "required": list(schema.input_names), "properties": parts}


def _component(model: type[BaseModel], schemas: dict[str, Any], suffix: str = "") -> dict[str, str]:
    """Add a model and its nested models to the components; return the reference to it."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}" + suffix)
    for name, part in schema.pop("$defs", {}).items():
        schemas[name + suffix] = part
    name = model.__name__ + suffix
    schemas[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}
