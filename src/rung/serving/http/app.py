"""Bundles over HTTP: predict, explain, feedback, health, OpenAPI, and a page to try a model in a browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

# Of FastAPI the foundation alone: bodies and OpenAPI come from a bundle's schema, and its import takes a third of the
# time in which a server is ready (docs/decisions/008-serving.md).
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.routing import Route

from rung.core.errors import RungError
from rung.core.logs import log
from rung.serving.batch_predict import parse
from rung.serving.dispatcher import Answering
from rung.serving.http.access import Caller
from rung.serving.http.docs_page import docs_page
from rung.serving.http.feedback import NoJournal, take_feedback
from rung.serving.http.middleware import Gate
from rung.serving.http.openapi import openapi
from rung.serving.http.schemas import MAX_EXPLAINED_CHARS, MAX_EXPLAINED_ROWS, SubjectRequest
from rung.serving.http.schemas import row_model as _row_model
from rung.serving.metrics import CONTENT_TYPE, Gauge
from rung.serving.model_registry import Find, Hosted, Models
from rung.serving.predictor import Predictor
from rung.serving.service import Refused, Service
from rung.serving.shadow import Shadows

__all__ = ["MAX_BODY_BYTES", "MAX_EXPLAINED_CHARS", "MAX_EXPLAINED_ROWS", "MAX_ROWS", "_row_model", "create_app"]  # fmt: skip

MAX_BODY_BYTES = 8 << 20
MAX_ROWS = 1_000
_EXPIRE_SECONDS = 3_600.0
# A challenger may be in the middle of a request when the server ends.
_SHADOW_SECONDS = 2.0


def create_app(
    predictors: Sequence[Predictor],
    uncertified: bool = False,
    service: Service | None = None,
    finds: Mapping[str, Find] | None = None,
) -> Starlette:
    """Return the ASGI application that answers for these models, each under its product's name.

    service: keys, journal and limits; by default none of them but the limits. finds: where a model's bundle lies,
    asked again when it is to be exchanged; by default where it was opened.
    """
    service = service or Service()
    models = Models(predictors, uncertified, finds, service.limits.rows, service.limits.together)
    shadows = Shadows(service)
    answering = Answering(service, shadows)
    service.metrics.gauges += [
        Gauge("rung_requests_at_work", "Requests being answered now.", lambda: answering.at_work),
        Gauge("rung_models", "Models open.", lambda: len(models.all())),
    ]

    async def predict(
        name: str, version: str | None, explain: bool, body: bytes, caller: Caller, request_id: str
    ) -> bytes:
        return await answering.answer(models.get(name, version), body, explain, caller, request_id)

    version = predictors[0].manifest.rung_version if predictors else ""
    return Starlette(
        routes=[*_reading(models, service, version), *_changing(models, service)],
        middleware=[Middleware(Gate, service=service, predict=predict)],
        exception_handlers={HTTPException: _answer_http},
        lifespan=_lifespan(service, models, answering, shadows),
    )


def _lifespan(service: Service, models: Models, answering: Answering, shadows: Shadows) -> Any:
    @asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        stop = threading.Event()

        def swapped(name: str, hosted: Hosted | None, problem: str) -> None:
            _tell_of_swap(service, Caller("watch", "admin"), name, hosted, problem)

        def expire() -> None:
            from rung.journal.data_subjects import expire

            while service.journal is not None:
                try:
                    expire(service.journal)
                except RungError as error:
                    log("expiry failed", problem=error.problem)
                if stop.wait(_EXPIRE_SECONDS):
                    return

        threads = [threading.Thread(target=expire, name="rung-expire", daemon=True)]
        beside = threading.Thread(target=shadows.run, name="rung-shadow", daemon=True)
        if service.watch:
            threads += [
                threading.Thread(target=models.watch, args=(stop, swapped), daemon=True),
                beside,
            ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            # First what predicts, then what it writes to: nothing that was begun is lost.
            answering.close()
            if beside.is_alive():
                shadows.stop()
                beside.join(_SHADOW_SECONDS)
            if service.journal is not None:
                service.journal.close()

    return living


def _reading(models: Models, service: Service, version: str) -> list[Route]:
    async def healthz(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    def readyz(request: Request) -> JSONResponse:
        problem = service.journal.check() if service.journal is not None else ""
        if problem:
            return JSONResponse({"status": "not ready", "problem": problem}, 503)
        return JSONResponse({"status": "ready"})

    async def metrics(request: Request) -> PlainTextResponse:
        return PlainTextResponse(service.metrics.text(), media_type=CONTENT_TYPE)

    async def list_models(request: Request) -> JSONResponse:
        return JSONResponse({"models": [_describe(hosted) for hosted in models.all()]})

    async def describe(request: Request) -> JSONResponse:
        return JSONResponse(_describe(models.get(request.path_params["name"])))

    def prediction(request: Request) -> JSONResponse:
        from rung.journal.data_subjects import prediction

        found = prediction(_journal(service), request.path_params["id"])
        if found is None:
            raise Refused(404, "there is no such prediction", "id", "Ids stand in the answers of predict.")
        return JSONResponse(found)

    async def page(request: Request) -> HTMLResponse:
        from rung.serving.http.playground import language_of, try_page

        lang = language_of(request.headers.get("accept-language", ""))
        return HTMLResponse(try_page(lang), headers={**_PAGE_HEADERS, "Vary": "Accept-Language"})

    def described() -> dict[str, Any]:
        return openapi(models.all(), version, service.keys is not None and service.keys.in_use())

    async def document(request: Request) -> JSONResponse:
        return JSONResponse(described())

    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page(described()), headers=_PAGE_HEADERS)

    ways = {
        "/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/v1/models": list_models,
        "/v1/models/{name}": describe, "/v1/predictions/{id}": prediction, "/": page,
        "/openapi.json": document, "/docs": docs,
    }  # fmt: skip
    return [Route(path, answer, methods=["GET"]) for path, answer in ways.items()]


def _changing(models: Models, service: Service) -> list[Route]:
    async def feedback(request: Request) -> JSONResponse:
        body = await request.body()
        caller, _ = request.scope["rung"]
        # Reading and writing the journal waits for a disk: not in the thread that answers everyone.
        taken = await asyncio.to_thread(take_feedback, service, body, caller)
        return JSONResponse(taken, 201)

    async def reload(request: Request) -> JSONResponse:
        caller, _ = request.scope["rung"]
        name = request.path_params["name"]
        try:
            hosted = await asyncio.to_thread(models.reload, name)
        except RungError as error:
            _tell_of_swap(service, caller, name, None, error.problem)
            raise
        _tell_of_swap(service, caller, name, hosted, "")
        return JSONResponse(_describe(hosted))

    async def export(request: Request) -> JSONResponse:
        from rung.journal.data_subjects import export

        caller, _ = request.scope["rung"]
        subject, journal = parse(SubjectRequest, await request.body()).subject, _journal(service)
        service.audited(caller, "export", journal.rows.subject_id(subject))
        return JSONResponse(await asyncio.to_thread(export, journal, subject))

    async def erase(request: Request) -> JSONResponse:
        from rung.journal.data_subjects import erase

        caller, _ = request.scope["rung"]
        subject, journal = parse(SubjectRequest, await request.body()).subject, _journal(service)
        stone = await asyncio.to_thread(erase, journal, subject, caller.name)
        service.audited(caller, "erase", journal.rows.subject_id(subject), **stone)
        return JSONResponse(stone)

    ways = {
        "/v1/feedback": feedback, "/v1/models/{name}/reload": reload,
        "/v1/subjects/export": export, "/v1/subjects/erase": erase,
    }  # fmt: skip
    return [Route(path, answer, methods=["POST"]) for path, answer in ways.items()]


def _journal(service: Service) -> Any:
    if service.journal is None:
        raise NoJournal
    return service.journal


def _tell_of_swap(service: Service, caller: Caller, name: str, hosted: Hosted | None, problem: str) -> None:
    version = hosted.manifest.version if hosted else ""
    outcome = "refused" if problem else "exchanged"
    service.metrics.reloads.add(name, outcome)
    log("model " + outcome, model=name, version=version, problem=problem)
    service.audited(caller, "reload", name, outcome=outcome, version=version, problem=problem)


def _describe(hosted: Hosted) -> dict[str, Any]:
    manifest = hosted.manifest
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


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    """Return what the framework refuses (no such path, not JSON) in the shape of all our errors."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = str(getattr(error, "detail", "")) or "the request cannot be answered"
    body = RungError(problem, "path", "GET /v1/models lists what is here; /docs shows how to ask.").as_dict()
    return JSONResponse(body, status_code=status)


_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
    "Referrer-Policy": "no-referrer",
}
