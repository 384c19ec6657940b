"""A small client of services that answer for money: JSON over HTTP, by the standard library alone."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from rung.core.errors import RungError
from rung.runtime.service.retries import TRANSIENT, pause_s

_LONGEST_REPLY = 64 << 20


class ServiceError(RungError):
    """A service cannot be reached, refuses, or answers what cannot be read. status: of HTTP; 0 without one."""

    def __init__(self, problem: str, where: str, fix: str = "", status: int = 0) -> None:
        super().__init__(problem, where, fix)
        self.status = status


@dataclass(frozen=True)
class Reply:
    """What a service answered. cost: in USD, 0 where it says none. headers: by lower-case name."""

    body: Any
    cost: float
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)


class ServiceClient:
    """Posts JSON to the hosts it is allowed to, and nowhere else; redirects are not followed.

    hosts: "host" or "host:port", as they stand in the addresses that are called. timeout_s: of connecting and of each
    read. tries: in all; a reply of 429 or 5xx and a broken connection are tried again, after what `Retry-After` says, else
    after a random time that doubles. cost_header: of a reply that says what it charged, in USD; cost_field: the same in its
    body, dotted ("usage.cost").
    """

    def __init__(
        self,
        hosts: Collection[str],
        *,
        timeout_s: float = 30.0,
        tries: int = 4,
        cost_header: str = "",
        cost_field: str = "",
        wait_s: float = 0.5,
    ) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._timeout_s, self._tries, self._wait_s = timeout_s, max(tries, 1), wait_s
        self._cost_header, self._cost_field = cost_header.lower(), cost_field

    def post(self, address: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """Return the reply to a JSON body; raises ServiceError. A reply that is no JSON is an error."""
        begun = time.perf_counter()
        with self._answered(address, body, headers or {}) as response:
            raw = _read(response, address)
            found = {name.lower(): value for name, value in response.getheaders()}
        parsed = _parsed(raw, address)
        return Reply(parsed, self._cost(parsed, found), time.perf_counter() - begun, found)

    def stream(self, address: str, body: Any, headers: Mapping[str, str] | None = None) -> Iterator[str]:
        """Yield the lines of a reply as they come, without their ends and without empty ones.

        Only what comes before the first line is tried again: a reply that breaks off raises ServiceError.
        """
        with self._answered(address, body, headers or {}) as response:
            while True:
                try:
                    line = response.readline(_LONGEST_REPLY)
                except (OSError, http.client.HTTPException) as error:
                    raise ServiceError(f"the reply broke off: {_in_words(error)}", _shown(address)) from None
                if not line:
                    return
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                if text:
                    yield text

    @contextmanager
    def _answered(
        self, address: str, body: Any, headers: Mapping[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        """Yield a good response, trying again what may pass; the connection is closed behind it."""
        host = self._allowed(address)
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        # A service that knows the key does not charge again for a request whose reply was lost.
        key = {"Idempotency-Key": uuid.uuid4().hex}
        sent = {"Content-Type": "application/json", "Accept": "application/json", **key, **headers}
        for turn in range(1, self._tries + 1):
            connection = self._connect(address)
            try:
                connection.request("POST", _path(address), data, sent)
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if turn == self._tries:
                    fix = "Check the address and the network; the same command goes on where it stopped."
                    raise ServiceError(f"{host} cannot be reached: {_in_words(error)}", host, fix) from None
                time.sleep(pause_s(turn, None, self._wait_s))
                continue
            try:
                if response.status < 300:
                    yield response
                    return
                said = response.read(2_000).decode("utf-8", "replace").strip()
                retry_after = response.getheader("Retry-After")
            finally:
                response.close()
                connection.close()
            if response.status not in TRANSIENT or turn == self._tries:
                problem = f"{host} answered {response.status} {response.reason}: {said[:300]}".rstrip(": ")
                raise ServiceError(problem, host, status=response.status)
            time.sleep(pause_s(turn, retry_after, self._wait_s))

    def _allowed(self, address: str) -> str:
        """Return the host of an address; raises ServiceError when it is none of ours."""
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2].lower()
        if parts.scheme not in {"http", "https"} or host not in self._hosts:
            listed = ", ".join(sorted(self._hosts)) or "none"
            raise ServiceError(
                f"calls to '{host or address[:80]}' are not allowed", "address", f"Allowed: {listed}."
            )
        return host

    def _connect(self, address: str) -> http.client.HTTPConnection:
        parts = urlsplit(address)
        if parts.scheme == "http":
            return http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=self._timeout_s)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            str(parts.hostname), parts.port, timeout=self._timeout_s, context=context
        )

    def _cost(self, body: Any, headers: Mapping[str, str]) -> float:
        """Return what the reply says it charged; 0.0 where it says nothing that is a number."""
        value: Any = headers.get(self._cost_header) if self._cost_header else None
        if value is None and self._cost_field:
            value = body
            for part in self._cost_field.split("."):
                value = value.get(part) if isinstance(value, dict) else None
        try:
            cost = float(value)
        except (TypeError, ValueError):
            return 0.0
        return cost if 0.0 <= cost < 1e6 else 0.0


def _read(response: http.client.HTTPResponse, address: str) -> bytes:
    try:
        raw = response.read(_LONGEST_REPLY + 1)
    except (OSError, http.client.HTTPException) as error:
        raise ServiceError(f"the reply broke off: {_in_words(error)}", _shown(address)) from None
    if len(raw) > _LONGEST_REPLY:
        raise ServiceError(f"the reply is longer than {_LONGEST_REPLY >> 20} MB", _shown(address))
    return raw


def _parsed(raw: bytes, address: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        start = raw[:80].decode("utf-8", "replace")
        raise ServiceError(f"the reply is no JSON: {start!r}", _shown(address)) from None


def _path(address: str) -> str:
    parts = urlsplit(address)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _shown(address: str) -> str:
    """Return an address without what may be secret."""
    return urlsplit(address).netloc.rpartition("@")[2]


def _in_words(error: BaseException) -> str:
    if isinstance(error, socket.timeout | TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
