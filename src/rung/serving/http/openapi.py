"""The OpenAPI document of the models served now, generated at each request because models can be replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from rung.core.messages import say
from rung.serving.http.access import ENDPOINTS, PUBLIC
from rung.serving.http.response_schema import (
    CHOICES,
    EXAMPLE_ID,
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
# path -> key of its summary in the catalogue of messages.
_SUMMARIES = {
    "/healthz": "healthz", "/readyz": "readyz", "/metrics": "metrics", "/v1/models": "models",
    "/v1/models/{name}": "model", "/v1/models/{name}/choices": "choices", "/v1/models/{name}/reload": "reload", "/v1/feedback": "feedback",
    "/v1/predictions/{id}": "prediction", "/v1/subjects/export": "export", "/v1/subjects/erase": "erase",
}  # fmt: skip
# Statuses other than 200.
_STATUS = {"/v1/feedback": "201"}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "/healthz": {"status": "ok"},
    "/readyz": {"status": "ready"},
    "/v1/feedback": {
        "id": "0192f0c4a1b2000031c9d7e05b8a4f67", "prediction": EXAMPLE_ID, "source": "user", "author": "shop",
    },
    "/v1/subjects/export": {"subject": "customer-17", "erased_at": None, "predictions": []},
    "/v1/subjects/erase": {"erased_predictions": 3, "erased_at": 1793491200.0, "erased_by": "admin"},
}  # fmt: skip
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
    "/v1/models/{name}/choices": CHOICES,
    "/v1/models/{name}/reload": _MODEL,
}
_ERRORS = {
    "400": "The request was cut off", "401": "No valid API key", "403": "Role not allowed", "404": "Not found",
    "408": "The body arrived too slowly", "413": "Body too large", "415": "Compressed body", "422": "Invalid request",
    "429": "Too many requests: see Retry-After", "503": "Temporarily unavailable: see Retry-After",
}  # fmt: skip


def build_openapi(
    models: Sequence[LoadedModel], version: str, keys: bool, lang: str = "en"
) -> dict[str, Any]:
    """Return the document, OpenAPI 3.1. lang: of the summaries."""
    schemas: dict[str, Any] = {"Error": _ERROR, "RowError": ROW_ERROR, "Model": MODEL}
    paths: dict[str, Any] = {}
    seen: set[str] = set()
    for loaded in models:
        name = loaded.manifest.name
        first = name not in seen
        seen.add(name)
        base = f"/v1/models/{name}" + ("" if first else f"/versions/{loaded.manifest.version}")
        for action, operation in _predictions(
            loaded, "" if first else f"-{loaded.manifest.version}", schemas, lang
        ).items():
            paths[f"{base}/{action}"] = {"post": operation}
    for endpoint in ENDPOINTS:
        if endpoint.path not in _SUMMARIES:
            continue
        verb = endpoint.method.lower()
        summary = say(f"serve.api.{_SUMMARIES[endpoint.path]}", lang)
        operation = _operation(summary, f"{verb}{endpoint.path.replace('/', '_')}")
        if endpoint.path in _BODIES:
            schema = _component(_BODIES[endpoint.path], schemas)
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        if endpoint.path in _ANSWERS:
            operation["responses"]["200"]["content"] = {
                "application/json": {"schema": _ANSWERS[endpoint.path]}
            }
        if endpoint.path in _EXAMPLES:
            answered = {"schema": {"type": "object"}, "example": _EXAMPLES[endpoint.path]}
            status = _STATUS.get(endpoint.path, "200")
            operation["responses"][status]["content"] = {"application/json": answered}
        names = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
        if names:
            operation["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ]
        if endpoint.action == "choices":
            operation["parameters"].append({"name": "search", "in": "query", "schema": {"type": "string"}})
        if endpoint.roles is PUBLIC:
            operation["security"] = []
        paths.setdefault(endpoint.path, {})[verb] = operation
    components: dict[str, Any] = {"schemas": schemas}
    document: dict[str, Any] = {"openapi": "3.1.0", "info": {"title": "rung", "version": version}}
    if keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document | {"paths": paths, "components": components}


def _predictions(
    loaded: LoadedModel, suffix: str, schemas: dict[str, Any], lang: str
) -> dict[str, dict[str, Any]]:
    """Return the operations of one model by their action. suffix: of the names of its components."""
    name = loaded.manifest.name
    many = _component(loaded.request, schemas, suffix)
    one = _reference(f"{name}-stream-request{suffix}")
    request = schemas[f"{name}-request{suffix}"]
    row = {"inputs": {**_reference(f"{name}-row{suffix}"), "description": "one row"}}
    schemas[f"{name}-stream-request{suffix}"] = {**request, "properties": {**request["properties"], **row}}
    answer, response = _reference(f"{name}-answer{suffix}"), _reference(f"{name}-response{suffix}")
    schemas[f"{name}-answer{suffix}"] = answer_schema(loaded)
    manifest = loaded.manifest
    said = {"model": name, "version": manifest.version, "certified": manifest.certified}
    examples = [said | {"predictions": schemas[f"{name}-answer{suffix}"]["examples"]}]
    schemas[f"{name}-response{suffix}"] = {**response_schema(answer), "examples": examples}
    answered = {"application/json": {"schema": response}}
    streamed = {"text/event-stream": {"schema": event_schema(response, _reference("Error"))}}
    found = {}
    for action, body, content in (
        ("predict", many, answered),
        ("explain", many, answered),
        ("stream", one, streamed),
    ):
        summary = say(f"serve.api.{action}", lang, name=name)
        operation = _operation(summary, f"{action}_{name}{suffix.replace('-', '_', 1)}")
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
