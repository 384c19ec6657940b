"""The ASGI application: predict, explain, feedback, health, OpenAPI, and a page to try a model in a browser."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

# Starlette alone, without FastAPI: request models and OpenAPI come from a bundle's schema, and importing FastAPI takes
# a third of the server's startup time (docs/decisions/008-serving.md).
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.routing import Match, Route
from starlette.types import Scope

from rung.core.errors import RungError
from rung.core.logs import log
from rung.improvement.input_copies import remove_all_input_copies
from rung.serving.answer_cache import cache_for
from rung.serving.dispatcher import Dispatcher
from rung.serving.exploration import explorer_for
from rung.serving.http.access import ENDPOINTS, Caller
from rung.serving.http.docs_page import docs_page, server_address
from rung.serving.http.error_response import error_facts
from rung.serving.http.feedback import JournalDisabled, add_feedback
from rung.serving.http.middleware import PredictionCall, RequestMiddleware
from rung.serving.http.model_info import model_info
from rung.serving.http.openapi import build_openapi
from rung.serving.http.playground import PAGE_HEADERS, playground_page, preferred_language
from rung.serving.http.schemas import MAX_EXPLAINED_CHARS, MAX_EXPLAINED_ROWS, SubjectRequest, parse_body
from rung.serving.http.schemas import row_model as row_model
from rung.serving.metrics import CONTENT_TYPE, Gauge
from rung.serving.model_registry import BundleLocator, LoadedModel, ModelRegistry
from rung.serving.predictor import Predictor
from rung.serving.service import HttpError, Service
from rung.serving.shadow import ShadowRunner

__all__ = ["MAX_BODY_BYTES", "MAX_EXPLAINED_CHARS", "MAX_EXPLAINED_ROWS", "MAX_ROWS", "row_model", "create_app"]  # fmt: skip

MAX_BODY_BYTES = 8 << 20
MAX_ROWS = 1_000
# Characters of a search, and values that are offered.
_MOST_SEARCHED, _CHOICES = 100, 12
_EXPIRE_SECONDS = 3_600.0
# At shutdown a challenger may be processing a request: wait this long for its thread.
_SHADOW_SECONDS = 2.0


def create_app(
    predictors: Sequence[Predictor],
    uncertified: bool = False,
    service: Service | None = None,
    locators: Mapping[str, BundleLocator] | None = None,
) -> Starlette:
    """Return the ASGI application that serves these models, each under its product's name.

    service: keys, journal and limits; default: limits only. locators: name -> function that returns the current bundle
    folder, called at each reload; default: the folder it was opened from.
    """
    service = service or Service()
    limits = service.limits
    models = ModelRegistry(
        predictors, uncertified, locators, limits.rows, limits.max_batch_size,
        lambda manifest: cache_for(manifest, limits.answer_cache, limits.near_cache),
        lambda predictor: explorer_for(predictor.task, service),
    )  # fmt: skip
    shadows = ShadowRunner(service)
    dispatcher = Dispatcher(service, shadows)
    service.metrics.gauges += [
        Gauge("rung_requests_at_work", "Requests in progress or queued.", lambda: dispatcher.in_flight),
        Gauge("rung_models", "Models loaded.", lambda: len(models.all())),
    ]

    async def predict(call: PredictionCall) -> bytes:
        loaded = models.get(call.name, call.version)
        return await dispatcher.answer(loaded, call.body, call.action, call.caller, call.request_id)

    def stream(call: PredictionCall) -> AsyncGenerator[bytes, None]:
        return dispatcher.stream(models.get(call.name, call.version), call.body, call.caller, call.request_id)

    version = predictors[0].manifest.rung_version if predictors else ""
    return Starlette(
        routes=[*_read_routes(models, service, version), *_write_routes(models, service)],
        middleware=[Middleware(RequestMiddleware, service=service, predict=predict, stream=stream)],
        exception_handlers={HTTPException: _http_exception},
        lifespan=_lifespan(service, models, dispatcher, shadows),
    )


def _lifespan(service: Service, models: ModelRegistry, dispatcher: Dispatcher, shadows: ShadowRunner) -> Any:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        stop = threading.Event()

        def on_reload(name: str, loaded: LoadedModel | None, problem: str) -> None:
            _record_reload(service, Caller("watch", "admin"), name, loaded, problem)

        def expire() -> None:
            from rung.journal.data_subjects import expire_inputs

            while service.journal is not None:
                try:
                    expire_inputs(service.journal)
                except Exception as error:
                    # Whatever it is, it may be over in an hour.
                    problem = error.problem if isinstance(error, RungError) else type(error).__name__
                    log("expiry failed", logging.ERROR, problem=problem)
                if stop.wait(_EXPIRE_SECONDS):
                    return

        # Without a journal nothing expires, and its packages may not be installed.
        threads = (
            [threading.Thread(target=expire, name="rung-expire", daemon=True)] if service.journal else []
        )
        shadow_thread = threading.Thread(target=shadows.run, name="rung-shadow", daemon=True)
        if service.watch:
            threads += [
                threading.Thread(target=models.watch, args=(stop, on_reload), daemon=True),
                shadow_thread,
            ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            # Stop predicting before closing the journal, so that no started request is lost.
            dispatcher.close()
            if shadow_thread.is_alive():
                shadows.stop()
                shadow_thread.join(_SHADOW_SECONDS)
            if service.journal is not None:
                service.journal.close()

    return lifespan


class TableRoute(Route):
    """The route of an endpoint of the table, to which the middleware has matched the request's path.

    The path is not parsed a second time, so no request reaches another route than the one whose roles were checked.
    Raises KeyError for an endpoint that is not in the table.
    """

    def __init__(self, method: str, path: str, handler: Callable[..., Any]) -> None:
        self.entry = {(e.method, e.path): e for e in ENDPOINTS}[method, path]
        super().__init__(path, handler, methods=[method])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the request was matched to this route's endpoint."""
        found = scope.get("rung.match")
        if found is None or found.endpoint is not self.entry:
            return Match.NONE, {}
        return Match.FULL, {"endpoint": self.endpoint, "path_params": dict(found.parameters)}


def _read_routes(models: ModelRegistry, service: Service, version: str) -> list[Route]:
    async def healthz(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    def readyz(request: Request) -> JSONResponse:
        problem = service.journal.probe() if service.journal is not None else ""
        if problem:
            return JSONResponse({"status": "not ready", "problem": problem}, 503)
        return JSONResponse({"status": "ready"})

    async def metrics(request: Request) -> PlainTextResponse:
        return PlainTextResponse(service.metrics.text(), media_type=CONTENT_TYPE)

    async def list_models(request: Request) -> JSONResponse:
        return JSONResponse({"models": [_described(loaded, request, service) for loaded in models.all()]})

    async def describe(request: Request) -> JSONResponse:
        return JSONResponse(_described(models.get(request.path_params["name"]), request, service))

    async def choices(request: Request) -> JSONResponse:
        model = models.get(request.path_params["name"]).predictor.offers
        search = request.query_params.get("search", "")[:_MOST_SEARCHED]
        found = await asyncio.to_thread(model.choices, search, _CHOICES) if model is not None else []
        return JSONResponse({"choices": found})

    def prediction(request: Request) -> JSONResponse:
        from rung.journal.data_subjects import find_prediction

        found = find_prediction(_journal(service), request.path_params["id"])
        if found is None:
            raise HttpError(404, "there is no such prediction", "id", "Use an id from a response of predict.")
        return JSONResponse(found)

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(playground_page(_language(request)), headers=PAGE_HEADERS)

    def described(lang: str = "en") -> dict[str, Any]:
        return build_openapi(models.all(), version, service.keys is not None and service.keys.in_use(), lang)

    async def document(request: Request) -> JSONResponse:
        return JSONResponse(described())

    async def docs(request: Request) -> HTMLResponse:
        lang = _language(request)
        address = server_address(request.url.scheme, request.headers.get("host", ""))
        return HTMLResponse(
            docs_page(described(lang), lang, address, service.limits.rows), headers=PAGE_HEADERS
        )

    handlers = {
        "/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/v1/models": list_models,
        "/v1/models/{name}": describe, "/v1/models/{name}/choices": choices, "/v1/predictions/{id}": prediction, "/": page,
        "/openapi.json": document, "/docs": docs,
    }  # fmt: skip
    return [TableRoute("GET", path, answer) for path, answer in handlers.items()]


def _write_routes(models: ModelRegistry, service: Service) -> list[Route]:
    async def feedback(request: Request) -> JSONResponse:
        body = await request.body()
        caller, _ = request.scope["rung"]
        # Journal reads and writes block on the disk: run them outside the event loop.
        taken = await asyncio.to_thread(add_feedback, service, body, caller)
        return JSONResponse(taken, 201)

    async def reload(request: Request) -> JSONResponse:
        caller, _ = request.scope["rung"]
        name = request.path_params["name"]
        try:
            loaded = await asyncio.to_thread(models.reload, name)
        except RungError as error:
            _record_reload(service, caller, name, None, error.problem)
            raise
        _record_reload(service, caller, name, loaded, "")
        return JSONResponse(_described(loaded, request, service))

    async def export(request: Request) -> JSONResponse:
        from rung.journal.data_subjects import export_subject

        caller, _ = request.scope["rung"]
        subject, journal = parse_body(SubjectRequest, await request.body()).subject, _journal(service)
        service.audit(caller, "export", journal.encoder.subject_id(subject))
        return JSONResponse(await asyncio.to_thread(export_subject, journal, subject))

    async def erase(request: Request) -> JSONResponse:
        caller, _ = request.scope["rung"]
        subject, journal = parse_body(SubjectRequest, await request.body()).subject, _journal(service)
        stone = await asyncio.to_thread(_erase, service, subject, caller.name)
        service.audit(caller, "erase", journal.encoder.subject_id(subject), **stone)
        return JSONResponse(stone)

    handlers = {
        "/v1/feedback": feedback, "/v1/models/{name}/reload": reload,
        "/v1/subjects/export": export, "/v1/subjects/erase": erase,
    }  # fmt: skip
    return [TableRoute("POST", path, answer) for path, answer in handlers.items()]


def _erase(service: Service, subject: str, author: str) -> dict[str, Any]:
    """Erase a subject from the journal and the copies of inputs that improvements made; return the tombstone."""
    from rung.journal.data_subjects import erase_subject

    stone = erase_subject(_journal(service), subject, author)
    if service.folder is not None:
        remove_all_input_copies(service.folder)
    return stone


def _journal(service: Service) -> Any:
    if service.journal is None:
        raise JournalDisabled
    return service.journal


def _record_reload(
    service: Service, caller: Caller, name: str, loaded: LoadedModel | None, problem: str
) -> None:
    version = loaded.manifest.version if loaded else ""
    outcome = "refused" if problem else "exchanged"
    service.metrics.reloads.add(name, outcome)
    log("model " + outcome, model=name, version=version, problem=problem)
    service.audit(caller, "reload", name, outcome=outcome, version=version, problem=problem)


def _described(loaded: LoadedModel, request: Request, service: Service) -> dict[str, Any]:
    """Return the description of a model for the caller of a request, in the caller's language."""
    caller, _ = request.scope["rung"]
    return model_info(loaded, caller, _language(request), service.limits.rows)


def _language(request: Request) -> str:
    return preferred_language(request.headers.get("accept-language", ""))


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    """Return an error of the framework (unknown path, wrong method) in the shape of all other errors."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = str(getattr(error, "detail", "")) or "the request failed"
    fix = "GET /v1/models lists the models; /docs shows every endpoint."
    body = error_facts(RungError(problem, "path", fix), _language(request))
    return JSONResponse(body, status_code=status)
