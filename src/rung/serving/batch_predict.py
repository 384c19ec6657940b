"""Several requests of one model, predicted together: the answer of each as JSON, and what the journal keeps of it."""

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

# Made once: `json.dumps` makes an encoder a call.
_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class PredictRequest:
    """A request for predictions on its way to a thread.

    alone: it is not answered together with others: it has several rows, or wants reasons, which take far longer.
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
        """Check the body, once. Raises InputError."""
        if self.rows is not None:
            return
        said = parse_body(self.loaded.request, self.body)
        self.explain = self.explain or said.explain
        self.scores, self.subject = said.scores, said.subject
        self.rows = request_rows(said, max_rows, self.explain)
        self.runs_alone = self.explain or len(self.rows) != 1


def predict_batch(
    service: Service, group: list[PredictRequest]
) -> list[tuple[bytes, list[PredictionRecord]]]:
    """Return the JSON answer of each request that was read, and its rows for the journal: none without a journal.

    All are of one model and agree in `scores`; one that wants reasons comes alone.
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
    """Return what the journal keeps of each answered row, and give each answer its id.

    answered: rows as the model got them, with their answers. seconds: in the model, of all that was answered together;
    price: a row's.
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
