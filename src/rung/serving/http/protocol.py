"""Limits what a connection may hold: time to send a request, size of its head, queued requests, and unread responses.

uvicorn bounds only the time between two requests. The limits hold with both of its HTTP parsers: httptools (`rung[ops]`) and
h11 (base install).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

# Many times the size of a long URL with a browser's cookies.
_MAX_HEADER_BYTES = 64 << 10
# From the connection, or the end of the last response, to the end of a request's head; idle time is part of it.
_HEADER_TIMEOUT_SECONDS = 30.0
# From head to end of the body. The middleware answers 408 after 10 seconds where it reads the body; it does not read that of
# a refused request.
_BODY_TIMEOUT_SECONDS = 15.0
# A client that takes its response more slowly than this is cut off.
_UNREAD_TIMEOUT_SECONDS, _SLOWEST_BYTES_PER_SECOND = 30.0, 16 << 10
# Requests sent ahead of the response of an earlier one. Clients hardly ever pipeline.
_MAX_PIPELINED = 16
_MAX_CONNECTIONS = 4_096
# Files that are not connections: libraries, journal, bundles, pipes of a shadow.
_RESERVED_FILES = 128
_SWEEP_SECONDS = 1.0
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

# What a connection waits for.
_REQUEST, _BODY, _ANSWER = "request", "body", "answer"


class _Connection(Protocol):
    """What both protocols of uvicorn have, and what the limits add."""

    transport: Any
    cycle: Any
    waits: _Wait

    def waits_for(self) -> str:
        """Return what the connection waits for."""
        ...


class _Wait:
    """Since when a connection waits for the same thing, and by when it must have read what it was sent."""

    def __init__(self, now: float) -> None:
        self.since = now
        self._seen: tuple[str, Any] = (_REQUEST, None)
        self._read_by: float | None = None

    def is_over(self, connection: _Connection, now: float) -> bool:
        """Return whether the connection has used up its time. Called about once a second, which is how exact times are."""
        unread = connection.transport.get_write_buffer_size()
        if not unread:
            self._read_by = None
        elif self._read_by is None:
            self._read_by = now + _UNREAD_TIMEOUT_SECONDS + unread / _SLOWEST_BYTES_PER_SECOND
        elif now > self._read_by:
            return True
        if connection.transport.is_closing():
            return False
        # A reference to the cycle, not its id: a later one may get the same.
        waits_for = connection.waits_for(), connection.cycle
        if waits_for[0] != self._seen[0] or waits_for[1] is not self._seen[1]:
            self._seen, self.since = waits_for, now
        limit = {_REQUEST: _HEADER_TIMEOUT_SECONDS, _BODY: _BODY_TIMEOUT_SECONDS}.get(waits_for[0])
        return limit is not None and now - self.since > limit

    def made_progress(self) -> None:
        """Note that the client has read most of what it was sent."""
        self._read_by = None


class _Sweeper:
    """Closes the connections of one server that use up their time, and the longest waiting one where there are too many."""

    def __init__(self) -> None:
        self._most = _most_connections()
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, connection: Any, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch a connection. Where there are too many, the one that has waited longest for a request goes."""
        connection.waits = _Wait(loop.time())
        if self._timer is None:
            self._timer = loop.call_later(_SWEEP_SECONDS, self._sweep, connections, loop)
        if len(connections) > self._most:
            waiting = [one for one in connections if one.waits_for() != _ANSWER]
            min(waiting, key=lambda one: one.waits.since, default=connection).transport.abort()

    def _sweep(self, connections: set[Any], loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in _over(connections, now):
            # Not `close`, which waits until the client has read everything.
            connection.transport.abort()
        self._timer = loop.call_later(_SWEEP_SECONDS, self._sweep, connections, loop) if connections else None


def _over(connections: Iterable[Any], now: float) -> list[Any]:
    return [connection for connection in connections if connection.waits.is_over(connection, now)]


def _most_connections() -> int:
    """Return how many connections fit below the limit of open files of this process."""
    try:
        import resource
    except ImportError:  # Windows
        return _MAX_CONNECTIONS
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files < 0:  # Unlimited.
        return _MAX_CONNECTIONS
    return min(_MAX_CONNECTIONS, max(files - _RESERVED_FILES, files // 4, 1))


def http_protocol() -> Any:
    """Return the protocol for uvicorn: httptools where it is installed, else h11, with limits."""
    with suppress(ImportError):
        return _limited_httptools()
    return _limited_h11()


def _limited_httptools() -> Any:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    sweeper = _Sweeper()

    class LimitedHttpTools(HttpToolsProtocol):
        """uvicorn's protocol with httptools, and limits."""

        waits: _Wait
        _header_bytes = 0
        # A request has begun; its head, or all of it, is still to come.
        _in_header, _in_message = False, False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            sweeper.admit(self, self.connections, self.loop)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_header:
                # These bytes may include a complete body, so at most one read of the socket is counted too much.
                self._header_bytes += len(data)
                if self._header_bytes > _MAX_HEADER_BYTES + len(data):
                    self.transport.write(_TOO_LARGE)
                    self.transport.close()

        def resume_writing(self) -> None:
            self.waits.made_progress()
            super().resume_writing()

        def on_message_begin(self) -> None:
            if len(self.pipeline) >= _MAX_PIPELINED:
                raise ConnectionAbortedError(
                    "too many requests were sent ahead"
                )  # uvicorn answers 400 and closes.
            self._in_header = self._in_message = True
            self._header_bytes = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_header = False
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._in_message = False
            super().on_message_complete()

        def waits_for(self) -> str:
            answering = self.cycle is not None and not self.cycle.response_complete
            # While an earlier request is answered, the server does not read on.
            if self.pipeline or (answering and (self._in_header or not self._in_message)):
                return _ANSWER
            return _BODY if self._in_message and not self._in_header else _REQUEST

    return LimitedHttpTools


def _limited_h11() -> Any:
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    sweeper = _Sweeper()

    class LimitedH11(H11Protocol):
        """uvicorn's protocol with h11, and limits. h11 itself bounds the head to 64 KB and handles one request at a time."""

        waits: _Wait

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            sweeper.admit(self, self.connections, self.loop)

        def resume_writing(self) -> None:
            self.waits.made_progress()
            super().resume_writing()

        def waits_for(self) -> str:
            if self.conn.their_state is h11.SEND_BODY:
                return _BODY
            answering = self.cycle is not None and not self.cycle.response_complete
            return _ANSWER if answering else _REQUEST

    return LimitedH11
