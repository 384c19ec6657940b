"""Predicts a batch of requests of one model and returns each response as JSON with its journal records."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from rung.core.errors import InputError
from rung.core.logs import log
from rung.serving.answer_cache import CACHED
from rung.serving.http.request_body import RequestBody
from rung.serving.model_registry import LoadedModel
from rung.serving.service import Service

if TYPE_CHECKING:
    from rung.journal.records import PredictionRecord

# Created once: `json.dumps` creates an encoder per call.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_json(value: Any) -> bytes:
    """Return a response as JSON; a lone surrogate is escaped."""
    return _encode(value).encode("utf-8", "backslashreplace")


class PredictRequest:
    """A request for predictions in the dispatcher's queue.

    action: predict, explain or stream. runs_alone: it is not batched with others, because it has several rows or asks for explanations, which take far longer.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        body: RequestBody,
        action: str,
        caller: str,
        request_id: str,
        deadline: float,
    ) -> None:
        self.loaded, self.body = loaded, body
        self.caller, self.request_id, self.deadline = caller, request_id, deadline
        self.explain = self.runs_alone = action == "explain"
        self._is_stream = action == "stream"
        self.scores = False
        self.subject: str | None = None
        self.rows: list[dict[str, Any]] | None = None

    def read(self) -> None:
        """Validate the body, once. Raises InputError."""
        if self.rows is not None:
            return
        found = self.loaded.request_reader.read(self.body, self.explain)
        self.explain = self.explain or found.explain
        self.scores, self.subject, self.rows = found.scores, found.subject, found.rows
        if self._is_stream and len(self.rows) != 1:
            raise InputError(f"{len(self.rows)} rows cannot be streamed", "inputs", "Send one row.")
        self.runs_alone = self.explain or len(self.rows) != 1


def predict_batch(
    service: Service, group: list[PredictRequest]
) -> list[tuple[bytes, list[PredictionRecord]]]:
    """Return, for each request, its JSON response and its journal records ([] without a journal).

    group: requests after `read`, of one model and with the same `scores`; a request for explanations is alone in it.
    """
    loaded = group[0].loaded
    predictor, manifest = loaded.predictor, loaded.manifest
    rows = [row for request in group for row in request.rows or ()]
    as_read: list[dict[str, Any]] = []
    started = time.perf_counter()
    scores, explain = group[0].scores, group[0].explain
    costs: list[float] = []
    answers = list(
        predictor.respond(rows, scores, True, read=as_read.append, explain=explain, charged=costs.append)
    )
    seconds = time.perf_counter() - started
    if not group[0].runs_alone:
        loaded.batch_sizer.record(len(group), seconds / len(group))
    metrics = service.metrics
    for _ in group:
        metrics.predict_seconds.observe(seconds, manifest.name, manifest.version)
    metrics.predictions.add(manifest.name, manifest.version, amount=len(rows))
    metrics.batches.add(manifest.name, manifest.version)
    cached = sum(CACHED in answer for answer in answers)
    if cached:
        metrics.cached.add(manifest.name, manifest.version, amount=cached)
    price = service.prices.usd(seconds) / max(len(rows), 1)
    read, left, prices = iter(as_read), iter(answers), iter([price + cost for cost in costs])
    made = []
    for request in group:
        own = [next(left) for _ in request.rows or ()]
        good = sum("error" not in answer for answer in own)
        own_rows, own_prices = list(islice(read, good)), list(islice(prices, good))
        made.append(finish_request(service, request, own, own_rows, seconds, own_prices))
    return made


def finish_request(
    service: Service,
    request: PredictRequest,
    answers: list[dict[str, Any]],
    as_read: list[dict[str, Any]],
    seconds: float,
    prices: Sequence[float],
) -> tuple[bytes, list[PredictionRecord]]:
    """Return the JSON response of a request and its journal records.

    answers: of its rows; they get ids. as_read: the rows that were answered, as the model read them. prices: USD of each
    of these.
    """
    records: list[PredictionRecord] = []
    if service.journal is not None:
        good = [answer for answer in answers if "error" not in answer]
        records = _records(service, request, list(zip(as_read, good, prices, strict=True)), seconds)
    manifest = request.loaded.manifest
    response = {
        "model": manifest.name,
        "version": manifest.version,
        "certified": manifest.certified,
        "predictions": answers,
    }
    return to_json(response), records


def _records(
    service: Service,
    request: PredictRequest,
    answered: list[tuple[dict[str, Any], dict[str, Any], float]],
    seconds: float,
) -> list[PredictionRecord]:
    """Return the journal record of each answered row, and add its id to the answer.

    answered: rows as the model received them, with their answers and their prices in USD. seconds: model time of the
    whole batch.
    """
    from rung.journal.records import PredictionRecord, new_id

    now, loaded = time.time(), request.loaded
    manifest, journal = loaded.manifest, service.journal
    # If the journal keeps only hashes of inputs, no media are kept.
    keep_media = (
        service.limits.media == "keep" and journal is not None and journal.encoder.input_mode != "hash"
    )
    records, not_kept = [], 0
    for row, answer, price in answered:
        output, derived = loaded.journal_outputs.split(answer)
        answer["id"] = new_id()
        written = loaded.journal_inputs.encode(row, keep_media)
        not_kept += written.not_kept
        records.append(
            PredictionRecord(
                answer["id"], now, request.request_id, manifest.name, manifest.version,
                str(answer.get("answered_by", "")), request.caller, request.subject, written.values, output,
                round(seconds * 1000, 3), price, written.identity, derived,
            )
        )  # fmt: skip
    if not_kept:
        service.metrics.media_not_kept.add(manifest.name, amount=not_kept)
        log("media too large to be kept", model=manifest.name, request_id=request.request_id, values=not_kept)
    return records
