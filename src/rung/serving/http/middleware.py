"""The one door of a server: who asks, how much, how often; one log line, one metric and one id a request."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import math
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rung.core.errors import RungError
from rung.core.logs import LOGGER, log_request
from rung.serving.http.access import DEVELOPER, PUBLIC, Caller, Endpoint, endpoint_of, presented
from rung.serving.http.api_keys import Allowance
from rung.serving.model_registry import NoSuchModel
from rung.serving.service import Refused, Service

_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# All bodies that are on their way together; each is held to `limits.body_mb` besides.
_ALL_BODIES = 256 << 20
# A body that trickles holds memory and a connection.
_BODY_SECONDS = 10.0
_SAFE = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
_WAYS = ("predict", "explain")
Predict = Callable[[str, str | None, bool, bytes, Caller, str], Awaitable[bytes]]


class Gate:
    """Lets requests through to `app`, and answers those for predictions itself, the shortest way."""

    def __init__(self, app: ASGIApp, service: Service, predict: Predict) -> None:
        self._app = app
        self._service = service
        self._predict = predict
        self._allowance = Allowance()
        self._body_bytes = int(service.limits.body_mb * (1 << 20))
        self._arriving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        endpoint = endpoint_of(scope["method"], scope["path"])
        request_id = _request_id(scope["headers"])
        seen = _Seen(send, request_id)
        caller: Caller | None = None
        try:
            caller = self._admit(scope, endpoint)
            scope["rung"] = (caller, request_id)
            await self._serve(scope, receive, seen, endpoint)
        except RungError as error:
            await _answer_error(seen, error)
        except Exception as error:
            LOGGER.error("failed", exc_info=error, extra={"facts": {"request_id": request_id}})
            fix = f"Report it with the request id {request_id}."
            await _answer_error(seen, Refused(500, "the server made a mistake", "server", fix))
        finally:
            self._account(scope, endpoint, caller, request_id, seen.status, time.perf_counter() - begun)

    async def _serve(self, scope: Scope, receive: Receive, seen: _Seen, endpoint: Endpoint | None) -> None:
        if scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, seen)
            return
        _require_plain(scope["headers"])
        body = await self._body(scope, receive)
        if endpoint is not None and endpoint.path.endswith(_WAYS):
            # /v1/models/{name}/predict or /v1/models/{name}/versions/{version}/predict
            parts = scope["path"].split("/")
            version = parts[5] if len(parts) == 7 else None
            caller, request_id = scope["rung"]
            answer = await self._predict(parts[3], version, parts[-1] == "explain", body, caller, request_id)
            await _send_json(seen, 200, answer)
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, seen)

    def _admit(self, scope: Scope, endpoint: Endpoint | None) -> Caller:
        """Return who asks; raises Refused unless they may ask this, now."""
        keys = self._service.keys
        if keys is None or not keys.in_use():
            if self._service.local_only:
                _require_local(scope["headers"])
            return DEVELOPER
        if endpoint is not None and endpoint.roles is PUBLIC:
            return Caller("public", "public")
        key = keys.find(presented(scope["headers"]))
        if key is None:
            self._service.metrics.refused.add("key")
            fix = "Send `Authorization: Bearer KEY`; `rung keys create` makes one."
            raise Refused(401, "this needs a valid API key", "Authorization", fix)
        caller = Caller(key.name, key.role, key.per_minute or self._service.limits.per_minute)
        if endpoint is not None and key.role not in endpoint.roles:
            self._service.metrics.refused.add("role")
            fix = f"It needs the role {' or '.join(sorted(endpoint.roles))}."
            raise Refused(403, f"the role '{key.role}' may not do this", endpoint.path, fix)
        if caller.per_minute:
            wait = self._allowance.take(key.id, caller.per_minute)
            if wait:
                self._service.metrics.refused.add("rate")
                raise Refused(
                    429, f"the key '{key.name}' may ask {caller.per_minute} times a minute", "Authorization",
                    "Ask again later.", math.ceil(wait),
                )  # fmt: skip
        return caller

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body; raises Refused for one too large or too slow, without ever holding it."""
        too_large = Refused(
            413, f"the request is larger than {self._service.limits.body_mb:g} MB", "body", "Send fewer rows at a time."
        )  # fmt: skip
        length = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if length.isdigit() and int(length) > self._body_bytes:
            raise too_large
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the request broke off", "body", "Send it again.")
                    part = message.get("body", b"")
                    size += len(part)
                    self._arriving += len(part)
                    parts.append(part)
                    if size > self._body_bytes:
                        raise too_large
                    if self._arriving > _ALL_BODIES:
                        self._service.metrics.refused.add("busy")
                        raise Refused(429, "too many large requests at once", "body", "Ask again later.", 1)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            fix = f"Send it within {_BODY_SECONDS:g} seconds."
            raise Refused(408, "the request came too slowly", "body", fix) from None
        finally:
            self._arriving -= size

    def _account(
        self, scope: Scope, endpoint: Endpoint | None, caller: Caller | None, request_id: str, status: int, seconds: float
    ) -> None:  # fmt: skip
        # The path itself is the caller's to choose: neither log nor metrics repeat it.
        name = endpoint.path if endpoint else "other"
        metrics = self._service.metrics
        metrics.requests.add(name, str(status))
        metrics.seconds.observe(seconds, name)
        if LOGGER.isEnabledFor(logging.INFO) and not name.endswith(("/healthz", "/readyz", "/metrics")):
            method = scope["method"] if scope["method"] in {"GET", "POST", "HEAD"} else "other"
            log_request(request_id, method, name, status, seconds, caller.name if caller else "")


class _Seen:
    """Passes an answer on with our headers, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), *_SAFE, (b"x-request-id", self._request_id)]
        await self._send(message)


async def _answer_error(seen: _Seen, error: RungError) -> None:
    if seen.status:  # Half an answer is out: all that is left is to end it.
        return
    headers = []
    if isinstance(error, Refused):
        status = error.status
        if error.retry_after:
            headers.append((b"retry-after", str(error.retry_after).encode()))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
    elif isinstance(error, NoSuchModel):
        status = 404
    elif type(error).__name__ == "JournalError":
        # By name: the journal's module needs packages that a server without one lacks.
        status = 503
        headers.append((b"retry-after", b"2"))
    else:
        status = 422
    body = json.dumps(error.as_dict(), ensure_ascii=False).encode("utf-8", "backslashreplace")
    await _send_json(seen, status, body, headers)


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


def _require_plain(headers: list[tuple[bytes, bytes]]) -> None:
    """Raise Refused for a packed body: what is small on the way may be endless unpacked, so nothing is."""
    if any(name == b"content-encoding" and value.strip().lower() != b"identity" for name, value in headers):
        raise Refused(415, "packed bodies are not read", "Content-Encoding", "Send the body as it is.")


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the caller's X-Request-ID when it is short and plain, else a new one."""
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if _ID.fullmatch(given) else secrets.token_hex(8)


def _require_local(headers: list[tuple[bytes, bytes]]) -> None:
    """Raise Refused for a request under a foreign name or from a foreign page.

    Without keys the browser on this machine is the way in: a page of elsewhere may send requests here (Origin), or
    rename itself to this address (Host).
    """
    found: dict[bytes, Any] = dict(headers)
    host = found.get(b"host", b"localhost").decode("latin-1")
    origin = found.get(b"origin", b"").decode("latin-1")
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    if not is_loopback(name.strip("[]")) or (origin and origin.rpartition("//")[2] != host):
        fix = "Ask from this machine, or make keys: `rung keys create`."
        raise Refused(403, "a server without keys answers this machine alone", "Host", fix)


def is_loopback(host: str) -> bool:
    """Return whether a host name means this machine and nothing else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
