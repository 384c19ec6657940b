"""Limits header size and read time, which uvicorn with httptools leaves unlimited."""

from __future__ import annotations

import asyncio
from typing import Any

# Many times the size of a long URL with a browser's cookies.
_MAX_HEADER_BYTES = 64 << 10
_HEADER_TIMEOUT_SECONDS = 30.0
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def http_protocol() -> Any:
    """Return the protocol for uvicorn: httptools with limits, or "h11" where httptools is not installed.

    h11 limits headers to 64 KB itself.
    """
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class LimitedProtocol(HttpToolsProtocol):
        """Closes a connection whose headers are too large or do not arrive in time; an idle one after 30 seconds too."""

        _header_bytes = 0
        _in_header = True
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._start_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._in_header:
                return
            # These bytes may include a complete body, so at most one read of the socket is counted too much.
            self._header_bytes += len(data)
            if self._header_bytes > _MAX_HEADER_BYTES + len(data):
                self.transport.write(_TOO_LARGE)
                self.transport.close()
            elif self._timer is None and self._header_bytes:
                self._start_timer()

        def on_message_begin(self) -> None:
            self._in_header, self._header_bytes = True, 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_header = False
            self._cancel_timer()
            super().on_headers_complete()

        def _start_timer(self) -> None:
            self._timer = self.loop.call_later(_HEADER_TIMEOUT_SECONDS, self.transport.close)

        def _cancel_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return LimitedProtocol
