"""The OpenAPI document of the models served now, generated at each request because models can be replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from rung.serving.http.access import ENDPOINTS, PUBLIC
from rung.serving.http.response_schema import (
    MODEL,
    ROW_ERROR,
    TEXT,
    answer_schema,
    event_schema,
    form_schema,
    response_schema,
)
from rung.serving.http.schemas import FeedbackRequest, SubjectRequest
from rung.serving.model_registry import LoadedModel

_ERROR = {
    "type": "object",
    "required": ["problem", "where", "fix"],
    "properties": {"problem": TEXT, "where": TEXT, "fix": TEXT},
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
_MODEL = {"$ref": "#/components/schemas/Model"}
_ANSWERS: dict[str, dict[str, Any]] = {
    "/v1/models": {
        "type": "object",
        "required": ["models"],
        "properties": {"models": {"type": "array", "items": _MODEL}},
    },
    "/v1/models/{name}": _MODEL,
    "/v1/models/{name}/reload": _MODEL,
}
_ERRORS = {
    "400": "The request was cut off", "401": "No valid API key", "403": "Role not allowed", "404": "Not found",
    "408": "The body arrived too slowly", "413": "Body too large", "415": "Compressed body", "422": "Invalid request",
    "429": "Too many requests: see Retry-After", "503": "Temporarily unavailable: see Retry-After",
}  # fmt: skip


def build_openapi(models: Sequence[LoadedModel], version: str, keys: bool) -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    schemas: dict[str, Any] = {"Error": _ERROR, "RowError": ROW_ERROR, "Model": MODEL}
    paths: dict[str, Any] = {}
    seen: set[str] = set()
    for loaded in models:
        name = loaded.manifest.name
        first = name not in seen
        seen.add(name)
        base = f"/v1/models/{name}" + ("" if first else f"/versions/{loaded.manifest.version}")
        for action, operation in _predictions(
            loaded, "" if first else f"-{loaded.manifest.version}", schemas
        ).items():
            paths[f"{base}/{action}"] = {"post": operation}
    for endpoint in ENDPOINTS:
        if endpoint.path not in _SUMMARIES:
            continue
        verb = endpoint.method.lower()
        operation = _operation(_SUMMARIES[endpoint.path], f"{verb}{endpoint.path.replace('/', '_')}")
        if endpoint.path in _BODIES:
            schema = _component(_BODIES[endpoint.path], schemas)
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        if endpoint.path in _ANSWERS:
            operation["responses"]["200"]["content"] = {
                "application/json": {"schema": _ANSWERS[endpoint.path]}
            }
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


def _predictions(loaded: LoadedModel, suffix: str, schemas: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations of one model by their action. suffix: of the names of its components."""
    name = loaded.manifest.name
    many = _component(loaded.request, schemas, suffix)
    one = _reference(f"{name}-stream-request{suffix}")
    request = schemas[f"{name}-request{suffix}"]
    row = {"inputs": {**_reference(f"{name}-row{suffix}"), "description": "one row"}}
    schemas[f"{name}-stream-request{suffix}"] = {**request, "properties": {**request["properties"], **row}}
    answer, response = _reference(f"{name}-answer{suffix}"), _reference(f"{name}-response{suffix}")
    schemas[f"{name}-answer{suffix}"] = answer_schema(loaded)
    schemas[f"{name}-response{suffix}"] = response_schema(answer)
    answered = {"application/json": {"schema": response}}
    streamed = {"text/event-stream": {"schema": event_schema(response, _reference("Error"))}}
    found = {}
    for action, words, body, content in (
        ("predict", f"Predict with {name}", many, answered),
        ("explain", f"Predict with {name} and explain", many, answered),
        ("stream", f"Predict one row with {name} and stream the answer as server-sent events", one, streamed),
    ):
        operation = _operation(words, f"{action}_{name}{suffix.replace('-', '_', 1)}")
        form = form_schema(loaded.predictor.schema, one_row=action == "stream")
        taken = {"application/json": {"schema": body}, "multipart/form-data": {"schema": form}}
        operation["requestBody"] = {"required": True, "content": taken}
        operation["responses"]["200"]["content"] = content
        del operation["responses"]["201"]
        found[action] = operation
    return found


def _operation(summary: str, operation_id: str) -> dict[str, Any]:
    error = {"application/json": {"schema": _reference("Error")}}
    responses: dict[str, Any] = {"200": {"description": "OK"}, "201": {"description": "Created"}}
    responses |= {status: {"description": words, "content": error} for status, words in _ERRORS.items()}
    return {"summary": summary, "operationId": operation_id, "responses": responses}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _component(model: type[BaseModel], schemas: dict[str, Any], suffix: str = "") -> dict[str, str]:
    """Add a model and its nested models to the components; return the reference to it."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}" + suffix)
    for name, part in schema.pop("$defs", {}).items():
        schemas[name + suffix] = part
    name = model.__name__ + suffix
    schemas[name] = schema
    return _reference(name)
