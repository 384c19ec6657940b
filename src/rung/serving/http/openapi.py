"""OpenAPI of what is served now: the models' endpoints from their schemas, each time anew, since models change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

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
    "/healthz": "Whether the server answers",
    "/readyz": "Whether it can take requests: models open, journal writable",
    "/metrics": "Counts and durations, for Prometheus",
    "/v1/models": "The models served here",
    "/v1/models/{name}": "What a model reads, answers and is certified for",
    "/v1/models/{name}/reload": "Open a model's bundle again and let it take the old one's place",
    "/v1/feedback": "Say what would have been right",
    "/v1/predictions/{id}": "One prediction with its input and feedback",
    "/v1/subjects/export": "Everything the journal holds of a subject",
    "/v1/subjects/erase": "Destroy a subject's inputs, for good",
}
_BODIES: dict[str, type[BaseModel]] = {
    "/v1/feedback": FeedbackRequest,
    "/v1/subjects/export": SubjectRequest,
    "/v1/subjects/erase": SubjectRequest,
}
_ERRORS = {
    "400": "The request broke off", "401": "No valid key", "403": "A role that may not do this", "404": "Not here",
    "408": "The body came too slowly", "413": "Too large", "415": "A packed body", "422": "Cannot be answered",
    "429": "Too much at once: see Retry-After", "503": "Not now: see Retry-After",
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
        for action, words in (("predict", f"Ask {name}"), ("explain", f"Ask {name}, with reasons")):
            body = _component(loaded.request, schemas, suffix="" if first else f"-{loaded.manifest.version}")
            plain = _operation(
                words, f"{action}_{name}" if first else f"{action}_{name}_{loaded.manifest.version}"
            )
            paths[f"{base}/{action}"] = {"post": plain | _request_body(body)}
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
    responses: dict[str, Any] = {"200": {"description": "The answer"}, "201": {"description": "Taken"}}
    responses |= {status: {"description": words, "content": error} for status, words in _ERRORS.items()}
    return {"summary": summary, "operationId": operation_id, "responses": responses}


def _request_body(reference: dict[str, str]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}


def _component(model: type[BaseModel], schemas: dict[str, Any], suffix: str = "") -> dict[str, str]:
    """Add a model and what it is made of to the components; return the reference to it."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}" + suffix)
    for name, part in schema.pop("$defs", {}).items():
        schemas[name + suffix] = part
    name = model.__name__ + suffix
    schemas[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}
