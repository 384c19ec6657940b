"""From the body of a request to the bytes of its answer: check, predict, write down; then, and only then, answer."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from rung.core.errors import RungError
from rung.serving.batch_predict import Asked, predict_together
from rung.serving.http.access import Caller
from rung.serving.model_registry import Hosted
from rung.serving.service import Refused, Service
from rung.serving.shadow import Shadows
from rung.serving.workers import Workers

Settle = Callable[[BaseException | None, bytes], None]


class Answering:
    """Predicts in a few threads. At most `limits.waiting` requests are at work; more are refused, not queued."""

    def __init__(self, service: Service, shadows: Shadows | None = None) -> None:
        self._service = service
        self._shadows = shadows
        self._threads = service.limits.threads or len(_cores())
        self._workers = Workers(self._threads, "rung-predict")
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Asked, Settle]] = deque()
        self.at_work = 0
        self._usual_seconds = 0.01

    def close(self) -> None:
        """Finish what has begun and stop."""
        self._workers.close()

    async def answer(
        self, hosted: Hosted, body: bytes, explain: bool, caller: Caller, request_id: str
    ) -> bytes:
        """Return the JSON answer once it is in the journal. Raises InputError, Refused, JournalError."""
        limits = self._service.limits
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        asked = Asked(hosted, body, explain, caller.name, request_id, time.monotonic() + limits.seconds)

        def settle(error: BaseException | None, answer: bytes) -> None:
            with self._lock:
                self.at_work -= 1
            with suppress(RuntimeError):  # The loop may have closed: then nobody waits.
                loop.call_soon_threadsafe(_set, future, error, answer)

        with self._lock:
            if self.at_work >= limits.waiting:
                self._service.metrics.refused.add("busy")
                again = math.ceil(min(self.at_work * self._usual_seconds / self._threads, 30.0))
                raise Refused(
                    429, f"{self.at_work} requests are at work already", "server", "Ask again later.", max(again, 1)
                )  # fmt: skip
            self.at_work += 1
            self._waiting.append((asked, settle))
        self._workers.submit(self._work)
        too_late = loop.call_later(limits.seconds, _set, future, TimeoutError(), b"")
        try:
            return await future
        except TimeoutError:
            self._service.metrics.refused.add("slow")
            fix = "Send fewer rows at a time, or ask again later."
            raise Refused(503, f"it took longer than {limits.seconds:g} seconds", "server", fix, 1) from None
        finally:
            too_late.cancel()

    def _take(self) -> list[tuple[Asked, Settle]]:
        """Return who is next, with those right behind that may be answered together; [] when another took them."""
        with self._lock:
            if not self._waiting:
                return []
            taken = [self._waiting.popleft()]
            asked = taken[0][0]
            if asked.alone:
                return taken
            # A thread's share of those who wait: what it leaves, idle threads take.
            share = math.ceil((len(self._waiting) + 1) / self._threads)
            size = asked.hosted.batching.size(share)
            while len(taken) < size and self._waiting:
                behind = self._waiting[0][0]
                if behind.alone or behind.hosted is not asked.hosted:
                    break
                taken.append(self._waiting.popleft())
            return taken

    def _work(self) -> None:
        together: list[tuple[Asked, Settle]] = []
        for asked, settle in self._take():
            try:
                if time.monotonic() > asked.deadline:
                    raise TimeoutError
                asked.read(self._service.limits.rows)
            except BaseException as error:
                settle(error, b"")
                continue
            together.append((asked, settle))
        joined = [item for item in together if not item[0].alone]
        if len(together) > 1 and len(joined) < len(together):
            self._put_back([item for item in together if item[0].alone])
            together = joined
        for scores in (False, True):
            group = [item for item in together if item[0].scores is scores]
            if group:
                self._predict(group)

    def _put_back(self, items: list[tuple[Asked, Settle]]) -> None:
        """Let the next idle threads have requests that turned out to be large."""
        with self._lock:
            self._waiting.extendleft(reversed(items))
        for _ in items:
            self._workers.submit(self._work)

    def _predict(self, group: list[tuple[Asked, Settle]]) -> None:
        begun = time.perf_counter()
        try:
            answered = predict_together(self._service, [asked for asked, _ in group])
        except BaseException as error:
            if len(group) == 1:
                group[0][1](error, b"")
                return
            # One of them may be what a model stumbles over: the others must not pay for it.
            for item in group:
                self._predict([item])
            return
        seconds = (time.perf_counter() - begun) / len(group)
        self._usual_seconds += 0.05 * (seconds - self._usual_seconds)
        journal, work = self._service.journal, []
        for (asked, settle), (answer, records) in zip(group, answered, strict=True):
            if journal is None or not records:
                settle(None, answer)
            else:
                work.append((records, partial(self._written, asked, settle, answer)))
        if journal is not None and work:
            journal.submit_all(work)

    def _written(self, asked: Asked, settle: Settle, answer: bytes, error: BaseException | None) -> None:
        """Let a request's answer go: it is in the journal, or the error says why not. A shadow may answer it too."""
        settle(error, answer)
        if error is None and self._shadows is not None:
            self._shadows.offer(asked.hosted, asked.body, answer)


def _set(future: asyncio.Future[bytes], error: BaseException | None, answer: bytes) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(answer)
    elif isinstance(error, RungError | TimeoutError):
        future.set_exception(error)
    else:
        # A bug of ours, or of a model: it keeps its traceback for the log.
        future.set_exception(error if isinstance(error, Exception) else RuntimeError(type(error).__name__))


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
