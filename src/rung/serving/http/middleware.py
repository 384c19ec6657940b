"""Authentication, rate limits, request log and metrics middleware."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import re
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rung.core.errors import RungError
from rung.core.logs import LOGGER, log_request
from rung.serving.http.access import (
    DEVELOPER,
    PREDICTION_ACTIONS,
    PUBLIC,
    Caller,
    Endpoint,
    EndpointMatch,
    allowed_methods,
    match_endpoint,
    presented_key,
)
from rung.serving.http.docs_page import key_page
from rung.serving.http.error_response import error_body, language_of, localized_answers
from rung.serving.http.playground import PAGE_HEADERS
from rung.serving.http.request_body import RequestBody
from rung.serving.model_registry import ModelNotFound
from rung.serving.service import HttpError, Service
from rung.serving.streaming import ERROR, encode_event

_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Request bodies being received, of all connections together; each alone is limited by `limits.body_mb`.
_MAX_BUFFERED_BYTES = 256 << 20
# A slow body holds memory and a connection.
_BODY_SECONDS = 10.0
# The last one disables buffering in nginx.
_EVENT_HEADERS = ((b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no"))
_SECURITY_HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


class PredictionCall(NamedTuple):
    """An authorized request for a prediction. version: None for the model at the unversioned path."""

    name: str
    version: str | None
    action: str
    body: RequestBody
    caller: Caller
    request_id: str


PredictHandler = Callable[[PredictionCall], Awaitable[bytes]]
# Yields encoded server-sent events.
StreamHandler = Callable[[PredictionCall], AsyncGenerator[bytes, None]]


class RequestMiddleware:
    """Checks every request, passes it to `app`, and handles predictions itself, without the framework's routing."""

    def __init__(
        self, app: ASGIApp, service: Service, predict: PredictHandler, stream: StreamHandler
    ) -> None:
        self._app = app
        self._service = service
        self._predict = predict
        self._stream = stream
        self._rate_limit = service.rate_limit
        self._max_body_bytes = int(service.limits.body_mb * (1 << 20))
        self._buffered_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # No endpoint takes WebSockets, and the table of roles has none.
            await send({"type": "websocket.close", "code": 1008})
            return
        started = time.perf_counter()
        match = match_endpoint(scope["method"], scope["path"])
        request_id = _request_id(scope["headers"])
        recorder = _ResponseRecorder(send, request_id)
        caller: Caller | None = None
        try:
            caller = await self._authorize(scope, match.endpoint if match else None)
            if match is None:
                raise _unknown_path(scope["path"])
            scope["rung"] = (caller, request_id)
            scope["rung.match"] = match
            await self._serve(scope, receive, recorder, match)
        except RungError as error:
            page = _key_page(scope, match, error)
            body = error_body(error, language_of(scope["headers"]))
            await (_send_error(recorder, error, body) if page is None else _send_page(recorder, 401, page))
        except Exception as error:
            LOGGER.error("failed", exc_info=error, extra={"facts": {"request_id": request_id}})
            fix = f"Report it with the request id {request_id}."
            failed = HttpError(500, "internal server error", "server", fix)
            await _send_error(recorder, failed, error_body(failed, language_of(scope["headers"])))
        finally:
            self._log_and_count(
                scope, match, caller, request_id, recorder.status, time.perf_counter() - started
            )

    async def _serve(
        self, scope: Scope, receive: Receive, recorder: _ResponseRecorder, match: EndpointMatch
    ) -> None:
        if scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, recorder)
            return
        _reject_compressed(scope["headers"])
        body = await self._read_body(scope, receive)
        action = match.endpoint.action
        if action in PREDICTION_ACTIONS:
            caller, request_id = scope["rung"]
            content_type = _header(scope["headers"], b"content-type")
            call = PredictionCall(
                match.parameters["name"], match.parameters.get("version"), action,
                RequestBody(body, content_type.decode("latin-1")), caller, request_id,
            )  # fmt: skip
            if action == "stream":
                await self._send_stream(call, receive, recorder)
            else:
                await _send_json(
                    recorder, 200, localized_answers(await self._predict(call), language_of(scope["headers"]))
                )
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, recorder)

    async def _send_stream(self, call: PredictionCall, receive: Receive, recorder: _ResponseRecorder) -> None:
        """Send the events of a stream as they are produced; end it when the client closes the connection."""

        async def send_events() -> None:
            async with aclosing(self._stream(call)) as events:
                # Errors before the first event are ordinary responses: the status is not sent yet.
                async for chunk in events:
                    await recorder.send_event(chunk)
            await recorder.end_events()

        sending = asyncio.ensure_future(send_events())
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            # A client that does not read blocks `send`: it gets one second more than the model.
            seconds = self._service.limits.seconds + 1
            await asyncio.wait({sending, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        # Nothing was sent: for log and metrics, the status that nginx gives a client that closed the connection.
        recorder.status = recorder.status or 499

    async def _authorize(self, scope: Scope, endpoint: Endpoint | None) -> Caller:
        """Authenticate the caller and return it; raises HttpError 401, 403 or 429."""
        keys = self._service.keys
        if keys is None or not keys.in_use():
            if self._service.local_only:
                _require_loopback(scope["headers"])
            return DEVELOPER
        if endpoint is not None and endpoint.roles is PUBLIC:
            return Caller("public", "public")
        key = keys.find(presented_key(scope["headers"]))
        if key is None:
            self._service.metrics.refused.add("key")
            fix = "Send `Authorization: Bearer KEY`; `rung keys create` makes a key."
            raise HttpError(401, "a valid API key is required", "Authorization", fix)
        caller = Caller(key.name, key.role, key.per_minute or self._service.limits.per_minute)
        if endpoint is not None and key.role not in endpoint.roles:
            self._service.metrics.refused.add("role")
            fix = f"Use a key with the role {' or '.join(sorted(endpoint.roles))}."
            raise HttpError(403, f"the role '{key.role}' may not call this endpoint", endpoint.path, fix)
        if caller.per_minute:
            wait = self._rate_limit.acquire(key.id, caller.per_minute)
            if wait is None:
                wait = await asyncio.to_thread(self._rate_limit.lease, key.id, caller.per_minute)
            if wait:
                self._service.metrics.refused.add("rate")
                raise HttpError(
                    429, f"the key '{key.name}' is limited to {caller.per_minute} requests a minute", "Authorization",
                    "Try again later.", math.ceil(wait),
                )  # fmt: skip
        return caller

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body; raises HttpError for one that is too large or too slow, without buffering all of it."""
        length = _header(scope["headers"], b"content-length")
        if length.isdigit() and int(length) > self._max_body_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HttpError(400, "the request was cut off", "body", "Send it again.")
                    part = message.get("body", b"")
                    size += len(part)
                    self._buffered_bytes += len(part)
                    parts.append(part)
                    if size > self._max_body_bytes:
                        raise self._too_large()
                    if self._buffered_bytes > _MAX_BUFFERED_BYTES:
                        self._service.metrics.refused.add("busy")
                        raise HttpError(429, "too many large requests at once", "body", "Try again later.", 1)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            fix = f"Send it within {_BODY_SECONDS:g} seconds."
            raise HttpError(408, "the request body arrived too slowly", "body", fix) from None
        finally:
            self._buffered_bytes -= size

    def _too_large(self) -> HttpError:
        problem = f"the request is larger than {self._service.limits.body_mb:g} MB"
        return HttpError(413, problem, "body", "Send fewer rows at a time.")

    def _log_and_count(
        self, scope: Scope, match: EndpointMatch | None, caller: Caller | None, request_id: str, status: int, seconds: float
    ) -> None:  # fmt: skip
        # The path is chosen by the caller: log and metrics hold the endpoint's template instead.
        name = match.endpoint.path if match else "other"
        metrics = self._service.metrics
        metrics.requests.add(name, str(status))
        metrics.seconds.observe(seconds, name)
        if LOGGER.isEnabledFor(logging.INFO) and not name.endswith(("/healthz", "/readyz", "/metrics")):
            method = scope["method"] if scope["method"] in {"GET", "POST", "HEAD"} else "other"
            log_request(request_id, method, name, status, seconds, caller.name if caller else "")


class _ResponseRecorder:
    """Wraps `send`: adds security headers and the request id, and records the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self.status = 0
        self.streams = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", []),
                *_SECURITY_HEADERS,
                (b"x-request-id", self._request_id),
            ]
        await self._send(message)

    async def send_event(self, chunk: bytes) -> None:
        """Send encoded server-sent events; the first ones begin the response."""
        if not self.streams:
            self.streams = True
            await self({"type": "http.response.start", "status": 200, "headers": list(_EVENT_HEADERS)})
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end_events(self) -> None:
        """End the response."""
        await self._send({"type": "http.response.body", "body": b""})


async def _send_error(recorder: _ResponseRecorder, error: RungError, body: bytes) -> None:
    if recorder.status:  # The response has started: its status cannot be changed any more.
        if recorder.streams:
            await recorder.send_event(encode_event(ERROR, body))
            await recorder.end_events()
        return
    headers = []
    if isinstance(error, HttpError):
        status = error.status
        if error.retry_after:
            headers.append((b"retry-after", str(error.retry_after).encode()))
        if error.allow:
            headers.append((b"allow", ", ".join(error.allow).encode()))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
    elif isinstance(error, ModelNotFound):
        status = 404
    elif type(error).__name__ == "JournalError":
        # By name: the journal's module needs packages that a server without a journal may lack.
        status = 503
        headers.append((b"retry-after", b"2"))
    else:
        status = 422
    await _send_json(recorder, status, body, headers)


def _key_page(scope: Scope, match: EndpointMatch | None, error: RungError) -> bytes | None:
    """Return the page that asks a browser for the key of the documentation; None for any other request or error."""
    if match is None or match.endpoint.path != "/docs" or getattr(error, "status", 0) != 401:
        return None
    headers: dict[bytes, Any] = dict(scope["headers"])
    if b"text/html" not in headers.get(b"accept", b""):
        return None
    return key_page(language_of(scope["headers"])).encode()


async def _send_page(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in PAGE_HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _unknown_path(path: str) -> HttpError:
    """Return the error for an unknown path or method."""
    fix = "GET /v1/models lists the models; /docs shows every endpoint."
    if methods := allowed_methods(path):
        # Whatever has GET has HEAD (RFC 9110, 9.1).
        allow = ["GET", "HEAD", *methods[1:]] if methods[0] == "GET" else methods
        return HttpError(405, f"this path takes {' or '.join(methods)}", "path", fix, allow=allow)
    return HttpError(404, "there is no such path", "path", fix)


async def _disconnected(receive: Receive) -> None:
    """Wait until the client closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_json(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    sent = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *(headers or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


def _header(headers: list[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    """Return the first value of a header, b"" without one."""
    for name, value in headers:
        if name == wanted:
            return value
    return b""


def _reject_compressed(headers: list[tuple[bytes, bytes]]) -> None:
    """Raise HttpError for a compressed body: decompressing it could exhaust memory."""
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() != b"identity":
            fix = "Send the body uncompressed."
            raise HttpError(415, "compressed bodies are not accepted", "Content-Encoding", fix)


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the caller's X-Request-ID if it is at most 64 plain characters, else a new id."""
    given = _header(headers, b"x-request-id")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _require_loopback(headers: list[tuple[bytes, bytes]]) -> None:
    """Raise HttpError unless Host is a loopback name and Origin, if sent, is this server.

    Without keys a browser on this machine is the attack path: a page of another site may send requests here
    (cross-site request, Origin) or resolve its own name to this address (DNS rebinding, Host).
    """
    found: dict[bytes, Any] = dict(headers)
    host = found.get(b"host", b"localhost").decode("latin-1")
    origin = found.get(b"origin", b"").decode("latin-1")
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    if not is_loopback(name.strip("[]")) or (origin and origin.rpartition("//")[2] != host):
        fix = "Send requests from this machine, or create a key: `rung keys create`."
        raise HttpError(403, "a server without keys only accepts local requests", "Host", fix)


def is_loopback(host: str) -> bool:
    """Return whether a host name is a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
