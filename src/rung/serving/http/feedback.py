"""Feedback: what a caller says of a prediction that was made for them; its author is always their key."""

from __future__ import annotations

import json
import time
from typing import Any

from rung.core.errors import InputError
from rung.serving.batch_predict import parse_body
from rung.serving.http.access import Caller
from rung.serving.http.schemas import MAX_ANSWER_CHARS, FeedbackRequest
from rung.serving.service import HttpError, Service

_SOURCE_BY_ROLE = {"predict": "user", "review": "review", "admin": "review"}


class JournalDisabled(HttpError):
    """The server keeps no journal: nothing can be said of what it does not remember."""

    def __init__(self) -> None:
        super().__init__(
            404, "this server keeps no journal", "journal", "Serve a product, or bundles with --folder."
        )


def add_feedback(service: Service, body: bytes, caller: Caller) -> dict[str, Any]:
    """Return the id of feedback that is in the journal for good.

    Raises Refused: 404 for a prediction that is not there, or was made for another caller and the role is predict.
    """
    from sqlalchemy import select

    from rung.journal.records import FeedbackRecord, new_id
    from rung.journal.schema import PREDICTIONS

    asked = parse_body(FeedbackRequest, body)
    answer = json.dumps(asked.answer, ensure_ascii=False)
    if asked.answer is None or len(answer) > MAX_ANSWER_CHARS:
        raise InputError("the answer is empty or too long", "answer", "Send what would have been right.")
    source = asked.source or _SOURCE_BY_ROLE.get(caller.role, "user")
    if source == "review" and caller.role == "predict":
        raise HttpError(403, "the role 'predict' may not speak as a reviewer", "source", "Leave source out.")
    if service.journal is None:
        raise JournalDisabled
    p = PREDICTIONS.c
    made_for = service.journal.read(lambda c: c.scalar(select(p.caller).where(p.id == asked.prediction)))
    if made_for is None or (caller.role == "predict" and made_for != caller.name):
        raise HttpError(
            404, "there is no such prediction", "prediction", "Ids stand in the answers of predict."
        )
    record = FeedbackRecord(new_id(), time.time(), asked.prediction, answer, source, caller.name)
    service.journal.write(record)
    service.metrics.feedback.add(source)
    return {"id": record.id, "prediction": record.prediction, "source": source, "author": record.author}
