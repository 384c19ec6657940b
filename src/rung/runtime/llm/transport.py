"""HTTP to one language model: retries, time-outs, concurrency and pace."""

from __future__ import annotations

import json
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rung.core.errors import MissingExtra
from rung.runtime.llm.endpoint import Endpoint
from rung.runtime.llm.errors import LlmError
from rung.runtime.service.retries import TRANSIENT, pause_s

if TYPE_CHECKING:
    import httpx

_LONGEST_REPLY, _LONGEST_ERROR = 16 << 20, 4_000
_CONNECT_S = 10.0


@dataclass(frozen=True)
class Traffic:
    """How a server is called.

    timeout_s: of one try, from the request to the last byte. tries: in all, for 429, 5xx and broken connections.
    wait_s: bound of the first pause; it doubles. concurrency: calls at a time. per_minute: calls begun, None is no limit.
    """

    timeout_s: float = 60.0
    tries: int = 5
    wait_s: float = 0.5
    concurrency: int = 8
    per_minute: float | None = None


@dataclass
class _Attempt:
    """One try of a call. pause_s: how long to wait before the next. restarts: a reply that breaks off is asked again."""

    turn: int
    restarts: bool
    pause_s: float = 0.0


class Transport:
    """Posts JSON to an endpoint; safe to share between threads. Redirects are not followed."""

    def __init__(self, endpoint: Endpoint, traffic: Traffic) -> None:
        self.endpoint, self.traffic = endpoint, traffic
        self._slots = threading.BoundedSemaphore(traffic.concurrency)
        self._pace = _Pace(traffic.per_minute)
        self._http: httpx.Client | None = None
        self._lock = threading.Lock()

    def post(self, path: str, body: Mapping[str, Any], key: str = "") -> tuple[Any, int]:
        """Return the JSON that answers a body, and how many tries it took. key: the same for equal requests."""
        for turn in range(1, self.traffic.tries + 1):
            attempt = _Attempt(turn, restarts=True)
            with self._slots, self._answer(path, body, key, attempt) as response:
                if response is not None:
                    return _parsed(self._read(response), self.endpoint.shown), turn
            # The pause is taken without a slot, so that other calls go on.
            time.sleep(attempt.pause_s)
        raise AssertionError("the last try raises")

    def stream(self, path: str, body: Mapping[str, Any], key: str = "") -> Iterator[str]:
        """Yield the data of each server-sent event. Only what comes before the first event is tried again."""
        for turn in range(1, self.traffic.tries + 1):
            attempt = _Attempt(turn, restarts=False)
            with self._slots, self._answer(path, body, key, attempt) as response:
                if response is not None:
                    yield from self._events(response)
                    return
            time.sleep(attempt.pause_s)

    def get(self, path: str) -> Any:
        """Return the JSON at a path, tried once."""
        try:
            response = self._client().get(self.endpoint.base + path, headers=self.endpoint.headers())
        except _httpx().HTTPError as error:
            raise self._unreachable(error) from None
        if response.status_code >= 300:
            raise status_error(self.endpoint, response.status_code, response.text[:_LONGEST_ERROR])
        return _parsed(response.content, self.endpoint.shown)

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()

    @contextmanager
    def _answer(
        self, path: str, body: Mapping[str, Any], key: str, attempt: _Attempt
    ) -> Iterator[httpx.Response | None]:
        """Yield a good response, or None when another try is worth it."""
        self._pace.wait()
        headers = {**self.endpoint.headers(), **({"Idempotency-Key": key} if key else {})}
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        sent = {"Content-Type": "application/json", **headers}
        is_last = attempt.turn == self.traffic.tries
        begun = False
        try:
            with self._client().stream(
                "POST", self.endpoint.base + path, content=data, headers=sent
            ) as response:
                if response.status_code < 300:
                    begun = True
                    yield response
                    return
                said = _error_text(response)
                retry_after = response.headers.get("Retry-After")
        except _httpx().HTTPError as error:
            if is_last or (begun and not attempt.restarts):
                raise self._unreachable(error) from None
            attempt.pause_s = pause_s(attempt.turn, None, self.traffic.wait_s)
            if not begun:
                yield None
            return
        if response.status_code not in TRANSIENT or is_last or _is_out_of_money(response.status_code, said):
            raise status_error(self.endpoint, response.status_code, said)
        attempt.pause_s = pause_s(attempt.turn, retry_after, self.traffic.wait_s)
        yield None

    def _read(self, response: httpx.Response) -> bytes:
        """Return the body, read until the time-out of the whole try."""
        end, parts, size = time.monotonic() + self.traffic.timeout_s, [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            self._require(end, size)
        return b"".join(parts)

    def _events(self, response: httpx.Response) -> Iterator[str]:
        end, size = time.monotonic() + self.traffic.timeout_s, 0
        for line in response.iter_lines():
            size += len(line)
            self._require(end, size)
            if line.startswith("data:"):
                yield line[5:].strip()

    def _require(self, end: float, size: int) -> None:
        if time.monotonic() > end:
            fix = "Allow more time with `timeout_s`, or fewer calls at a time with `concurrency`."
            raise LlmError(f"no whole answer within {self.traffic.timeout_s:g} s", self.endpoint.shown, fix)
        if size > _LONGEST_REPLY:
            raise LlmError(f"the reply is longer than {_LONGEST_REPLY >> 20} MB", self.endpoint.shown)

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                httpx = _httpx()
                limits = httpx.Limits(max_connections=self.traffic.concurrency)
                timeout = httpx.Timeout(
                    self.traffic.timeout_s, connect=min(_CONNECT_S, self.traffic.timeout_s)
                )
                # A proxy of the environment is for addresses elsewhere.
                self._http = httpx.Client(
                    timeout=timeout, limits=limits, trust_env=not self.endpoint.is_loopback
                )
                # A model has no end that could close its connections.
                weakref.finalize(self, self._http.close)
            return self._http

    def _unreachable(self, error: Exception) -> LlmError:
        said = "no answer in time" if isinstance(error, _httpx().TimeoutException) else str(error)
        local = " Is `rung llm serve` running?" if self.endpoint.is_loopback else ""
        fix = f"Check the address and the network; answers that were paid for are kept.{local}"
        return LlmError(
            f"the server does not answer: {said or type(error).__name__}", self.endpoint.shown, fix
        )


class _Pace:
    """Lets calls begin at most so often a minute."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap_s = 60.0 / per_minute if per_minute else 0.0
        self._next, self._lock = 0.0, threading.Lock()

    def wait(self) -> None:
        """Wait for this call's turn."""
        if not self._gap_s:
            return
        with self._lock:
            now = time.monotonic()
            at = max(self._next, now)
            self._next = at + self._gap_s
        time.sleep(at - now)


def status_error(endpoint: Endpoint, status: int, said: str) -> LlmError:
    """Return what a refused request means, and what to do."""
    low = said.casefold()
    if "context" in low and any(word in low for word in ("exceed", "length", "maximum", "too long", "size")):
        problem, fix = (
            "the request is too long for the model",
            "Lower `prompt_tokens`, or name a model with a longer context.",
        )
    elif status in {401, 403}:
        problem, fix = (
            "the key was refused",
            "Check the environment variable with the key, and what the key may do.",
        )
    elif _is_out_of_money(status, said):
        problem, fix = (
            "the account has no money left",
            "Top it up; the same command goes on where it stopped.",
        )
    elif status == 404:
        problem, fix = (
            f"there is no model '{endpoint.model}', or the address is wrong",
            "`rung llm probe` lists the models.",
        )
    elif status == 429:
        problem, fix = (
            "too many requests, and waiting did not help",
            "Set `per_minute`, or lower `concurrency`.",
        )
    else:
        problem, fix = f"the server answered {status}", ""
    return LlmError(f"{problem} ({status}: {said[:300]})", endpoint.shown, fix, status)


def _is_out_of_money(status: int, said: str) -> bool:
    return status == 402 or "insufficient_quota" in said or "insufficient balance" in said.casefold()


def _error_text(response: httpx.Response) -> str:
    """Return what an error reply says, without reading more than a little."""
    parts, size = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > _LONGEST_ERROR:
            break
    text = b"".join(parts).decode("utf-8", "replace").strip()
    try:
        error = json.loads(text)["error"]
        return str(error["message"] if isinstance(error, dict) else error) + (
            f" [{error['code']}]" if isinstance(error, dict) and isinstance(error.get("code"), str) else ""
        )
    except (ValueError, KeyError, TypeError):
        return text


def _parsed(raw: bytes, where: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        start = raw[:80].decode("utf-8", "replace")
        raise LlmError(
            f"the reply is not JSON: {start!r}", where, "Check the address; it usually ends in /v1."
        ) from None


def _httpx() -> Any:
    try:
        import httpx
    except ImportError:
        raise MissingExtra("asking a language model", "llm", "httpx") from None
    return httpx
