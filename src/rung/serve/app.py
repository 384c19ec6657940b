"""Bundles over HTTP: predict, health, OpenAPI, and a page to try a model in a browser."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rung.core import types
from rung.core.errors import BundleError, InputError, RungError, did_you_mean
from rung.serve.docs_page import docs_page
from rung.serve.predictor import Predictor, open_bundle

MAX_BODY_BYTES = 8 << 20
MAX_ROWS = 1_000
# Saying why takes far longer than answering.
MAX_EXPLAINED_ROWS = 20
MAX_EXPLAINED_CHARS = 50_000
# A cell of a table may be missing; a number or a date may come as people write it.
_CELL = str | bool | int | float | None
_KINDS: dict[str, Any] = {
    "text": str,
    "category": _CELL,
    "number": _CELL,
    "time": _CELL,
    "list": list[Any],
    "json": Any,
}


def serve(
    bundles: Sequence[str | Path], host: str = "127.0.0.1", port: int = 8000, uncertified: bool = False
) -> None:
    """Answer requests until interrupted. Raises BundleError for an uncertified bundle unless `uncertified`.

    There is no access control yet: keep it on this machine, or behind something that has it.
    """
    import uvicorn

    predictors = [open_bundle(bundle) for bundle in bundles]
    app = create_app(predictors, uncertified=uncertified)
    _require_free(host, port)
    if not _is_loopback(host):
        logging.getLogger("uvicorn.error").warning(
            "rung serve has no access control yet and listens on %s", host
        )
    uvicorn.run(app, host=host, port=port, log_level="info", access_log=False, server_header=False)


def create_app(predictors: Sequence[Predictor], uncertified: bool = False) -> FastAPI:
    """Return the ASGI application that answers for these models, each under its product's name."""
    models: dict[str, Predictor] = {}
    for predictor in predictors:
        manifest = predictor.manifest
        if manifest.name in models:
            raise BundleError(
                f"two bundles are called '{manifest.name}'", manifest.name, "Serve one of them."
            )
        if not (manifest.certified or uncertified):
            raise BundleError(
                "the bundle is not certified: nothing has been proven about its quality",
                manifest.name,
                "Serve it all the same with --uncertified.",
            )
        models[manifest.name] = predictor
    version = next(iter(models.values())).manifest.rung_version if models else ""
    # FastAPI's own pages load scripts from another server: ours work offline.
    app = FastAPI(title="rung", version=version, docs_url=None, redoc_url=None)
    app.add_middleware(_BodyLimit)
    app.add_exception_handler(RungError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    for name, predictor in models.items():
        _add_predict(app, name, predictor)

    @app.get("/healthz", summary="Whether the server answers")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models", summary="The models served here")
    def list_models() -> dict[str, Any]:
        return {"models": [_describe(predictor) for predictor in models.values()]}

    @app.get("/v1/models/{name}", summary="What a model reads, answers and is certified for")
    def describe(name: str) -> dict[str, Any]:
        if name not in models:
            raise _NoSuchModelError(f"there is no model '{name}' here", "name", did_you_mean(name, models))
        return _describe(models[name])

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(_page(list(models.values())), headers=_PAGE_HEADERS)

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers=_PAGE_HEADERS)

    return app


class _NoSuchModelError(RungError):
    """Answered with 404."""


def _add_predict(app: FastAPI, name: str, predictor: Predictor) -> None:
    """Add the endpoint of one model; its request is made from the bundle's schema."""
    row = _row_model(name, predictor.schema)
    fields: dict[str, Any] = {
        "inputs": (list[row] | row, Field(description=f"one row, or up to {MAX_ROWS}")),  # type: ignore[valid-type]
        "scores": (bool, Field(False, description="also the probability of every label")),
        "explain": (bool, Field(False, description="also the parts of the input that decided")),
    }
    request = create_model(f"{name}-request", __config__=ConfigDict(extra="forbid"), **fields)

    def predict(body: Any) -> dict[str, Any]:
        rows = body.inputs if isinstance(body.inputs, list) else [body.inputs]
        if len(rows) > MAX_ROWS:
            raise InputError(
                f"{len(rows)} rows are too many", "inputs", f"Send at most {MAX_ROWS} at a time."
            )
        asked = [item.model_dump(by_alias=True) for item in rows]
        chars = sum(len(value) for row in asked for value in row.values() if isinstance(value, str))
        if body.explain and (len(rows) > MAX_EXPLAINED_ROWS or chars > MAX_EXPLAINED_CHARS):
            fix = f"Ask for explanations of at most {MAX_EXPLAINED_ROWS} rows and {MAX_EXPLAINED_CHARS:,} characters at a time."
            raise InputError(
                f"{len(rows)} rows of {chars:,} characters are too much to explain", "explain", fix
            )
        answers = list(predictor.respond(asked, body.scores, answered_by=True))
        if body.explain:
            good = [i for i, answer in enumerate(answers) if "error" not in answer]
            for i, reasons in zip(good, predictor.explain([asked[i] for i in good]), strict=True):
                answers[i]["reasons"] = [{"text": r.text, "weight": r.weight} for r in reasons]
        manifest = predictor.manifest
        return {
            "model": manifest.name,
            "version": manifest.version,
            "certified": manifest.certified,
            "predictions": answers,
        }

    predict.__annotations__["body"] = request
    app.post(f"/v1/models/{name}/predict", summary=f"Ask {name}", operation_id=f"predict_{name}")(predict)


def _row_model(name: str, schema: types.Schema) -> type[BaseModel]:
    fields: dict[str, Any] = {
        # The user's column may be no Python name: it is the alias, and the alias is what travels.
        f"field_{i}": (_KINDS.get(field.kind, str), Field(..., alias=field.name, description=field.kind))
        for i, field in enumerate(schema.inputs)
    }
    config = ConfigDict(extra="ignore", title=f"{name}-row")
    return create_model(f"{name}-row", __config__=config, **fields)


def _describe(predictor: Predictor) -> dict[str, Any]:
    manifest = predictor.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "task": manifest.task,
        "rung": manifest.rung,
        "endpoint": manifest.endpoint,
        "certified": manifest.certified,
        "certificate": manifest.certificate,
        "schema": manifest.schema.as_dict(),
    }


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RungError)  # noqa: S101 - the handler is registered for this type alone
    return JSONResponse(error.as_dict(), status_code=404 if isinstance(error, _NoSuchModelError) else 422)


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    """Return what the framework refuses (no such path, not JSON) in the shape of all our errors."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = str(getattr(error, "detail", "")) or "the request cannot be answered"
    body = RungError(
        problem, request.url.path, "GET /v1/models lists what is here; /docs shows how to ask."
    ).as_dict()
    return JSONResponse(body, status_code=status)


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    """Return validation errors in the shape of all our errors, without repeating what was sent."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = error.errors()
    where = "; ".join(dict.fromkeys(".".join(str(part) for part in item["loc"]) for item in found[:5]))
    problem = "; ".join(dict.fromkeys(str(item["msg"]) for item in found[:5]))
    fix = 'Send {"inputs": [{...}]} with the fields that GET /v1/models lists; /docs shows an example.'
    return JSONResponse({"problem": problem, "where": where, "fix": fix}, status_code=422)


class _BodyLimit:
    """Refuses bodies over MAX_BODY_BYTES while they arrive, so that none is ever held in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0
        refused = False

        async def limited() -> Message:
            nonlocal received, refused
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                refused = True
                return {"type": "http.disconnect"}
            return message

        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            if refused and not started:
                return
            started = True
            await send(message)

        length = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        too_long = length.isdigit() and int(length) > MAX_BODY_BYTES
        if not too_long:
            try:
                await self._app(scope, limited, watched)
            except Exception:  # Whatever a cut-off body broke is answered with 413 below.
                if not refused:
                    raise
        if too_long or (refused and not started):
            body = RungError(
                f"the request is larger than {MAX_BODY_BYTES >> 20} MB", "body", "Send fewer rows at a time."
            ).as_dict()
            await JSONResponse(body, status_code=413)(scope, receive, send)


_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def _page(predictors: Sequence[Predictor]) -> str:
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    options = "".join(
        f'<option value="{escape(p.manifest.name)}">{escape(p.manifest.name)}</option>' for p in predictors
    )
    return template.replace("{{options}}", options)


def _require_free(host: str, port: int) -> None:
    """Raise RungError when nothing can listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise RungError(
            f"cannot listen there: {error.strerror}", f"{host}:{port}", "Choose another --port or --host."
        ) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
