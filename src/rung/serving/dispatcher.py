"""Dispatches prediction requests to worker threads: validate, predict, write to the journal, then respond."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import partial

from rung.core.errors import RungError
from rung.serving.batch_predict import PredictRequest, predict_batch
from rung.serving.http.access import Caller
from rung.serving.http.request_body import RequestBody
from rung.serving.model_registry import LoadedModel
from rung.serving.service import HttpError, Service
from rung.serving.shadow import ShadowRunner
from rung.serving.streaming import (
    ANSWER,
    ANSWERED,
    FAILED,
    GONE,
    SLOW,
    ClientDisconnected,
    EventQueue,
    encode_event,
    require_answer,
    run_in_thread,
    stream_answer,
)
from rung.serving.workers import WorkerPool

ResultCallback = Callable[[BaseException | None, bytes], None]


class Dispatcher:
    """Predicts in a pool of threads. At most `limits.max_in_flight` requests are processed or queued; more get 429."""

    def __init__(self, service: Service, shadows: ShadowRunner | None = None) -> None:
        self._service = service
        self._shadows = shadows
        self._threads = service.limits.threads or len(_available_cores())
        self._workers = WorkerPool(self._threads, "rung-predict")
        self._lock = threading.Lock()
        self._queue: deque[tuple[PredictRequest, ResultCallback]] = deque()
        self.in_flight = 0
        self._mean_seconds = 0.01

    def close(self) -> None:
        """Finish the queued requests and stop the threads."""
        self._workers.close()

    async def answer(
        self, loaded: LoadedModel, body: RequestBody, action: str, caller: Caller, request_id: str
    ) -> bytes:
        """Return the JSON response after it is in the journal. Raises InputError, HttpError, JournalError.

        action: predict, explain or stream.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        request = self._request(loaded, body, action, caller, request_id)

        def on_result(error: BaseException | None, answer: bytes) -> None:
            self._release()
            with suppress(RuntimeError):  # The event loop may have closed: then nobody awaits the result.
                loop.call_soon_threadsafe(_resolve, future, error, answer)

        with self._lock:
            self._admit()
            self._queue.append((request, on_result))
        self._workers.submit(self._run_batch)
        too_late = loop.call_later(self._service.limits.seconds, _resolve, future, TimeoutError(), b"")
        try:
            return await future
        except TimeoutError:
            raise self._too_slow() from None
        finally:
            too_late.cancel()

    async def stream(
        self, loaded: LoadedModel, body: RequestBody, caller: Caller, request_id: str
    ) -> AsyncGenerator[bytes, None]:
        """Yield server-sent events: `piece` as the model produces them, then `answer`, after it is in the journal.

        A model that does not stream gives one `answer`. Raises as `answer` does. Close the generator when the client
        is gone: the model then stops at its next piece.
        """
        if not loaded.predictor.streams:
            answer = await self.answer(loaded, body, "stream", caller, request_id)
            require_answer(answer)
            yield encode_event(ANSWER, answer)
            return
        request = self._request(loaded, body, "stream", caller, request_id)
        events = EventQueue(asyncio.get_running_loop(), request.deadline)
        with self._lock:
            self._admit()
        outcome = GONE
        try:
            try:
                run_in_thread(partial(self._run_stream, request, events))
            except RuntimeError:  # The system gives no more threads.
                self._release()
                raise
            ended = False
            while not ended:
                chunk, ended = await events.get()
                if ended:
                    outcome = ANSWERED
                if chunk:
                    yield chunk
        except TimeoutError:
            outcome = SLOW
            raise self._too_slow() from None
        except Exception:
            outcome = FAILED
            raise
        finally:
            events.close()
            self._service.metrics.streams.add(loaded.manifest.name, loaded.manifest.version, outcome)

    def _run_stream(self, request: PredictRequest, events: EventQueue) -> None:
        """Run a stream to its end, in its thread."""
        try:
            try:
                answer = stream_answer(self._service, request, events)
            except ClientDisconnected:
                return
            except BaseException as error:
                events.put(error if isinstance(error, Exception) else RuntimeError(type(error).__name__))
                return
            events.put(encode_event(ANSWER, answer))
            events.put(None)
            if self._shadows is not None and self._service.journal is not None:
                self._shadows.submit(request.loaded, request.body, answer)
        except (ClientDisconnected, RuntimeError):
            pass  # The client has gone; the event loop may have closed.
        finally:
            self._release()

    def _request(
        self, loaded: LoadedModel, body: RequestBody, action: str, caller: Caller, request_id: str
    ) -> PredictRequest:
        deadline = time.monotonic() + self._service.limits.seconds
        return PredictRequest(loaded, body, action, caller.name, request_id, deadline)

    def _admit(self) -> None:
        """Count a new request; the caller holds the lock. Raises HttpError 429 if too many are in progress."""
        if self.in_flight >= self._service.limits.max_in_flight:
            self._service.metrics.refused.add("busy")
            again = math.ceil(min(self.in_flight * self._mean_seconds / self._threads, 30.0))
            raise HttpError(
                429, f"{self.in_flight} requests are in progress already", "server", "Try again later.", max(again, 1)
            )  # fmt: skip
        self.in_flight += 1

    def _release(self) -> None:
        with self._lock:
            self.in_flight -= 1

    def _too_slow(self) -> HttpError:
        self._service.metrics.refused.add("slow")
        problem = f"the prediction took longer than {self._service.limits.seconds:g} seconds"
        return HttpError(503, problem, "server", "Send fewer rows per request, or try again later.", 1)

    def _next_batch(self) -> list[tuple[PredictRequest, ResultCallback]]:
        """Return the next request and those behind it that can join its batch; [] when another thread took them."""
        with self._lock:
            if not self._queue:
                return []
            taken = [self._queue.popleft()]
            request = taken[0][0]
            if request.runs_alone:
                return taken
            # This thread's share of the queue: idle threads take the rest.
            share = math.ceil((len(self._queue) + 1) / self._threads)
            size = request.loaded.batch_sizer.size(share)
            while len(taken) < size and self._queue:
                behind = self._queue[0][0]
                if behind.runs_alone or behind.loaded is not request.loaded:
                    break
                taken.append(self._queue.popleft())
            return taken

    def _run_batch(self) -> None:
        valid: list[tuple[PredictRequest, ResultCallback]] = []
        for request, on_result in self._next_batch():
            try:
                if time.monotonic() > request.deadline:
                    raise TimeoutError
                request.read()
            except BaseException as error:
                on_result(error, b"")
                continue
            valid.append((request, on_result))
        joined = [item for item in valid if not item[0].runs_alone]
        if len(valid) > 1 and len(joined) < len(valid):
            self._requeue([item for item in valid if item[0].runs_alone])
            valid = joined
        for scores in (False, True):
            group = [item for item in valid if item[0].scores is scores]
            if group:
                self._predict(group)

    def _requeue(self, items: list[tuple[PredictRequest, ResultCallback]]) -> None:
        """Put requests that turned out to be large back to the front of the queue for other threads."""
        with self._lock:
            self._queue.extendleft(reversed(items))
        for _ in items:
            self._workers.submit(self._run_batch)

    def _predict(self, group: list[tuple[PredictRequest, ResultCallback]]) -> None:
        started = time.perf_counter()
        try:
            answered = predict_batch(self._service, [request for request, _ in group])
        except BaseException as error:
            if len(group) == 1:
                group[0][1](error, b"")
                return
            # One request may break the model: predict each alone, so that the others succeed.
            for item in group:
                self._predict([item])
            return
        seconds = (time.perf_counter() - started) / len(group)
        self._mean_seconds += 0.05 * (seconds - self._mean_seconds)
        journal, work = self._service.journal, []
        for (request, on_result), (answer, records) in zip(group, answered, strict=True):
            if journal is None or not records:
                on_result(None, answer)
            else:
                work.append((records, partial(self._on_journaled, request, on_result, answer)))
        if journal is not None and work:
            journal.submit_many(work)

    def _on_journaled(
        self, request: PredictRequest, on_result: ResultCallback, answer: bytes, error: BaseException | None
    ) -> None:
        """Deliver a response after its journal write, or the write's error; then hand it to the shadow."""
        on_result(error, answer)
        if error is None and self._shadows is not None:
            self._shadows.submit(request.loaded, request.body, answer)


def _resolve(future: asyncio.Future[bytes], error: BaseException | None, answer: bytes) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(answer)
    elif isinstance(error, RungError | TimeoutError):
        future.set_exception(error)
    else:
        # A bug of rung or of a model: keep its traceback for the log.
        future.set_exception(error if isinstance(error, Exception) else RuntimeError(type(error).__name__))


def _available_cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
