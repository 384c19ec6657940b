"""Streams one answer as server-sent events: a thread runs the model, a bounded queue passes its pieces to the event loop."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from rung.core.errors import InputError
from rung.core.types import Prediction
from rung.serving.batch_predict import PredictRequest, finish_request, to_json
from rung.serving.service import Service

PIECE, ANSWER, ERROR = "piece", "answer", "error"
# Outcomes in `rung_streams_total`. gone: the client closed the connection; slow: longer than `serve.seconds`.
ANSWERED, FAILED, GONE, SLOW = "answered", "error", "gone", "slow"
# Events buffered for a slow client; after that the model blocks.
_MAX_QUEUED = 64


class ClientDisconnected(Exception):
    """The client has closed the stream. Internal: no caller sees it."""


class EventQueue:
    """A bounded queue of encoded events from one thread to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        self._loop, self._deadline = loop, deadline
        self._changed = threading.Condition()
        self._items: deque[bytes | BaseException | None] = deque()
        self._ready = asyncio.Event()
        self._closed = False

    def put(self, item: bytes | BaseException | None) -> None:
        """Add an event, an error that ends the stream, or None as its end; blocks while the queue is full.

        Raises ClientDisconnected if the client has closed the stream or the time is up.
        """
        with self._changed:
            while len(self._items) >= _MAX_QUEUED and not self._closed:
                if not self._changed.wait(self._deadline - time.monotonic()):
                    raise ClientDisconnected
            self.require_client()
            self._items.append(item)
        self._loop.call_soon_threadsafe(self._ready.set)

    def require_client(self) -> None:
        """Raise ClientDisconnected if the client has closed the stream."""
        if self._closed:
            raise ClientDisconnected

    async def get(self) -> tuple[bytes, bool]:
        """Return all waiting events as one chunk, and whether the stream has ended. Raises its error, or TimeoutError."""
        await asyncio.wait_for(self._ready.wait(), max(self._deadline - time.monotonic(), 0.0))
        self._ready.clear()
        with self._changed:
            items = list(self._items)
            self._items.clear()
            self._changed.notify_all()
        chunk = b"".join(item for item in items if isinstance(item, bytes))
        error = next((item for item in items if isinstance(item, BaseException)), None)
        if error is not None and not chunk:
            raise error
        if error is not None:
            # Send the pieces before it first.
            self._items.appendleft(error)
            self._ready.set()
        return chunk, None in items

    def close(self) -> None:
        """Mark the stream as closed by the client."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def encode_event(name: str, data: bytes) -> bytes:
    """Return a server-sent event. data: JSON, which holds no line break."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def stream_answer(service: Service, request: PredictRequest, events: EventQueue) -> bytes:
    """Put an event for each piece, write the finished answer to the journal, and return its JSON.

    Raises ClientDisconnected when the client went away: then nothing is journaled.
    """
    request.read()
    loaded = request.loaded
    row = (request.rows or [])[0]
    as_read: list[dict[str, Any]] = []
    started, cpu_started = time.perf_counter(), time.thread_time()
    answer = Prediction("")
    for piece in loaded.predictor.stream(row, read=as_read.append):
        if isinstance(piece, Prediction):
            answer = piece
        else:
            events.put(encode_event(PIECE, to_json({"text": piece})))
    events.require_client()
    response = loaded.predictor.to_response(answer, request.scores, answered_by=True)
    if request.explain:
        response["reasons"] = [reason.as_dict() for reason in loaded.predictor.explain([row])[0]]
    seconds = time.perf_counter() - started
    manifest, metrics = loaded.manifest, service.metrics
    metrics.predict_seconds.observe(seconds, manifest.name, manifest.version)
    metrics.predictions.add(manifest.name, manifest.version)
    metrics.batches.add(manifest.name, manifest.version)
    price = service.prices.usd(time.thread_time() - cpu_started) + answer.cost
    body, records = finish_request(service, request, [response], as_read, seconds, [price])
    if service.journal is not None and records:
        service.journal.write(*records)
    return body


def require_answer(body: bytes) -> None:
    """Raise InputError when the one row of a response is an error."""
    row = json.loads(body)["predictions"][0]
    if "error" in row:
        raise InputError(row["error"], "inputs", "Send a row that is not empty.")


def run_in_thread(work: Callable[[], None]) -> None:
    """Run in a separate thread: a stream mostly waits and would block a worker of the pool."""
    threading.Thread(target=work, name="rung-stream", daemon=True).start()
