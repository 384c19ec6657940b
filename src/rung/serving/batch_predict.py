"""Predicts a batch of requests of one model and returns each response as JSON with its journal records."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from rung.core.errors import InputError
from rung.serving.http.schemas import request_rows
from rung.serving.model_registry import LoadedModel
from rung.serving.service import Service

if TYPE_CHECKING:
    from rung.journal.records import PredictionRecord

# Created once: `json.dumps` creates an encoder per call.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class PredictRequest:
    """A request for predictions in the dispatcher's queue.

    runs_alone: it is not batched with others, because it has several rows or asks for explanations, which take far longer.
    """

    def __init__(
        self, loaded: LoadedModel, body: bytes, explain: bool, caller: str, request_id: str, deadline: float
    ) -> None:
        self.loaded, self.body = loaded, body
        self.caller, self.request_id, self.deadline = caller, request_id, deadline
        self.explain = self.runs_alone = explain
        self.scores = False
        self.subject: str | None = None
        self.rows: list[dict[str, Any]] | None = None

    def read(self, max_rows: int) -> None:
        """Validate the body, once. Raises InputError."""
        if self.rows is not None:
            return
        body = parse_body(self.loaded.request, self.body)
        self.explain = self.explain or body.explain
        self.scores, self.subject = body.scores, body.subject
        self.rows = request_rows(body, max_rows, self.explain)
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
    answers = list(predictor.respond(rows, scores, answered_by=True, read=as_read.append, explain=explain))
    seconds = time.perf_counter() - started
    if not group[0].runs_alone:
        loaded.batch_sizer.record(len(group), seconds / len(group))
    metrics = service.metrics
    for _ in group:
        metrics.predict_seconds.observe(seconds, manifest.name, manifest.version)
    metrics.predictions.add(manifest.name, manifest.version, amount=len(rows))
    metrics.batches.add(manifest.name, manifest.version)
    price = service.prices.usd(seconds) / max(len(rows), 1)
    read, left = iter(as_read), iter(answers)
    made = []
    for request in group:
        own = [next(left) for _ in request.rows or ()]
        records: list[PredictionRecord] = []
        if service.journal is not None:
            good_rows = [(next(read), answer) for answer in own if "error" not in answer]
            records = _records(request, good_rows, seconds, price)
        answer = {
            "model": manifest.name,
            "version": manifest.version,
            "certified": manifest.certified,
            "predictions": own,
        }
        made.append((_to_json(answer).encode("utf-8", "backslashreplace"), records))
    return made


def _records(
    request: PredictRequest,
    answered: list[tuple[dict[str, Any], dict[str, Any]]],
    seconds: float,
    price: float,
) -> list[PredictionRecord]:
    """Return the journal record of each answered row, and add its id to the answer.

    answered: rows as the model received them, with their answers. seconds: model time of the whole batch. price: USD
    per row.
    """
    from rung.journal.records import PredictionRecord, new_id

    now, manifest = time.time(), request.loaded.manifest
    records = []
    for row, answer in answered:
        output = dict(answer)
        answer["id"] = new_id()
        records.append(
            PredictionRecord(
                answer["id"], now, request.request_id, manifest.name, manifest.version,
                str(answer.get("answered_by", "")), request.caller, request.subject, row, output,
                round(seconds * 1000, 3), price,
            )
        )  # fmt: skip
    return records


def parse_body(model: type[BaseModel], body: bytes) -> Any:
    """Return a body as its model; raises InputError with a message that does not repeat the input."""
    try:
        return model.model_validate_json(body)
    except (ValidationError, RecursionError, OverflowError) as error:
        found = error.errors(include_input=False) if isinstance(error, ValidationError) else []
        where = "; ".join(
            dict.fromkeys(".".join(str(part)[:64] for part in ("body", *item["loc"])) for item in found[:5])
        )
        problem = (
            "; ".join(dict.fromkeys(str(item["msg"]) for item in found[:5])) or "the body cannot be parsed"
        )
        fix = "Send JSON with the fields shown at /docs; GET /v1/models lists a model's inputs."
        raise InputError(problem, where or "body", fix) from None
