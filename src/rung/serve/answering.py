"""From the body of a request to the bytes of its answer: check, predict, write down; then, and only then, answer."""

from __future__ import annotations

import asyncio
import json
import math
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from rung.core.errors import InputError, RungError
from rung.serve.access import Caller
from rung.serve.hosted import Hosted
from rung.serve.request_models import rows_of
from rung.serve.service import Refused, Service
from rung.serve.workers import Workers

if TYPE_CHECKING:
    from rung.serve.journal_rows import Served

# Made once: `json.dumps` makes an encoder a call.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Answering:
    """Predicts in a few threads. At most `limits.waiting` requests are at work; more are refused, not queued."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._threads = service.limits.threads or len(_cores())
        self._workers = Workers(self._threads, "rung-predict")
        self._lock = threading.Lock()
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
        with self._lock:
            if self.at_work >= limits.waiting:
                self._service.metrics.refused.add("busy")
                again = math.ceil(min(self.at_work * self._usual_seconds / self._threads, 30.0))
                raise Refused(
                    429, f"{self.at_work} requests are at work already", "server", "Ask again later.", max(again, 1)
                )  # fmt: skip
            self.at_work += 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        deadline = time.monotonic() + limits.seconds

        def settle(error: BaseException | None, answer: bytes) -> None:
            with self._lock:
                self.at_work -= 1
            with suppress(RuntimeError):  # The loop may have closed: then nobody waits.
                loop.call_soon_threadsafe(_set, future, error, answer)

        def work() -> None:
            try:
                if time.monotonic() > deadline:
                    raise TimeoutError
                answer, records = self._predict(hosted, body, explain, caller, request_id)
            except BaseException as error:
                settle(error, b"")
                return
            journal = self._service.journal
            if journal is None or not records:
                settle(None, answer)
            else:
                journal.submit(records, lambda error: settle(error, answer))

        self._workers.submit(work)
        too_late = loop.call_later(limits.seconds, _set, future, TimeoutError(), b"")
        try:
            return await future
        except TimeoutError:
            self._service.metrics.refused.add("slow")
            fix = "Send fewer rows at a time, or ask again later."
            raise Refused(503, f"it took longer than {limits.seconds:g} seconds", "server", fix, 1) from None
        finally:
            too_late.cancel()

    def _predict(
        self, hosted: Hosted, body: bytes, explain: bool, caller: Caller, request_id: str
    ) -> tuple[bytes, list[Served]]:
        asked = parse(hosted.request, body)
        explain = explain or asked.explain
        rows = rows_of(asked, self._service.limits.rows, explain)
        predictor, manifest = hosted.predictor, hosted.manifest
        as_read: list[dict[str, Any]] = []
        begun = time.perf_counter()
        answers = list(
            predictor.respond(rows, asked.scores, answered_by=True, read=as_read.append, explain=explain)
        )
        seconds = time.perf_counter() - begun
        self._usual_seconds += 0.05 * (seconds - self._usual_seconds)
        metrics = self._service.metrics
        metrics.predict_seconds.observe(seconds, manifest.name, manifest.version)
        metrics.predictions.add(manifest.name, manifest.version, amount=len(rows))
        records: list[Served] = []
        if self._service.journal is not None:
            records = self._records(
                hosted, as_read, answers, asked.subject, seconds, (caller.name, request_id)
            )
        answer = {
            "model": manifest.name,
            "version": manifest.version,
            "certified": manifest.certified,
            "predictions": answers,
        }
        return _to_json(answer).encode("utf-8", "backslashreplace"), records

    def _records(
        self,
        hosted: Hosted,
        as_read: list[dict[str, Any]],
        answers: list[dict[str, Any]],
        subject: str | None,
        seconds: float,
        whose: tuple[str, str],
    ) -> list[Served]:
        """Return what the journal keeps of each answered row, and give each answer its id.

        as_read: those rows alone that could be answered, as the model got them.
        """
        from rung.serve.journal_rows import Served, new_id

        now, price = time.time(), self._service.prices.usd(seconds) / max(len(answers), 1)
        records = []
        good = [answer for answer in answers if "error" not in answer]
        for row, answer in zip(as_read, good, strict=True):
            output = dict(answer)
            answer["id"] = new_id()
            records.append(
                Served(
                    answer["id"], now, whose[1], hosted.manifest.name, hosted.manifest.version,
                    str(answer.get("answered_by", "")), whose[0], subject, row, output,
                    round(seconds * 1000, 3), price,
                )
            )  # fmt: skip
        return records


def parse(model: type[BaseModel], body: bytes) -> Any:
    """Return a body as its model; raises InputError in our words, which do not repeat what was sent."""
    try:
        return model.model_validate_json(body)
    except (ValidationError, RecursionError, OverflowError) as error:
        found = error.errors(include_input=False) if isinstance(error, ValidationError) else []
        where = "; ".join(
            dict.fromkeys(".".join(str(part)[:64] for part in ("body", *item["loc"])) for item in found[:5])
        )
        problem = (
            "; ".join(dict.fromkeys(str(item["msg"]) for item in found[:5])) or "the body cannot be read"
        )
        fix = "Send JSON with the fields that /docs shows; GET /v1/models lists what a model reads."
        raise InputError(problem, where or "body", fix) from None


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
