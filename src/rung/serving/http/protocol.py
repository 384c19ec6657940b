"""What a connection may cost before its first request is whole: uvicorn bounds neither the size of a head nor its time."""

from __future__ import annotations

import asyncio
from typing import Any

# A long address and the cookies of a browser fit in many times.
_HEAD_BYTES = 64 << 10
_HEAD_SECONDS = 30.0
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def protocol() -> Any:
    """Return what uvicorn is to read HTTP with: its faster reader, bounded; where that is missing, its other one.

    The other one, h11, bounds a head itself, at 64 KB.
    """
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return "h11"

    class Bounded(HttpToolsProtocol):
        """Ends a connection whose head is too large or does not come: an idle one too, after half a minute."""

        _head_bytes = 0
        _in_head = True
        _too_slow: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._in_head:
                return
            # A body may have come and gone with these bytes: at worst one portion of the socket is counted too much.
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES + len(data):
                self.transport.write(_TOO_LARGE)
                self.transport.close()
            elif self._too_slow is None and self._head_bytes:
                self._wait()

        def on_message_begin(self) -> None:
            self._in_head, self._head_bytes = True, 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._stop_waiting()
            super().on_headers_complete()

        def _wait(self) -> None:
            self._too_slow = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

        def _stop_waiting(self) -> None:
            if self._too_slow is not None:
                self._too_slow.cancel()
                self._too_slow = None

    return Bounded
