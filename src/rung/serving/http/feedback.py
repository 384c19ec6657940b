"""Feedback on served predictions. Its author is always the name of the caller's key."""

from __future__ import annotations

import json
import time
from typing import Any

from rung.core.errors import InputError
from rung.serving.http.access import Caller
from rung.serving.http.schemas import MAX_ANSWER_CHARS, FeedbackRequest, parse_body
from rung.serving.service import HttpError, Service

_SOURCE_BY_ROLE = {"predict": "user", "review": "review", "admin": "review"}


class JournalDisabled(HttpError):
    """The server keeps no journal, so predictions cannot be looked up."""

    def __init__(self) -> None:
        super().__init__(
            404, "this server keeps no journal", "journal", "Serve a product, or bundles with --folder."
        )


def add_feedback(service: Service, body: bytes, caller: Caller) -> dict[str, Any]:
    """Write feedback to the journal and return its id, prediction, source and author.

    Raises HttpError: 404 for an unknown prediction, and for another caller's where the role is predict; 403 for source
    review with the role predict.
    """
    from sqlalchemy import select

    from rung.journal.data_subjects import find_prediction
    from rung.journal.records import FeedbackRecord, new_id
    from rung.journal.schema import PREDICTIONS
    from rung.journal.taken_items import require_listed, take

    asked = parse_body(FeedbackRequest, body)
    if asked.answer is not None and asked.item is not None:
        raise InputError("both answer and item are given", "item", "Send one of them.")
    given = take(asked.item) if asked.item is not None else asked.answer
    answer = json.dumps(given, ensure_ascii=False)
    if given is None or len(answer) > MAX_ANSWER_CHARS:
        raise InputError("the answer is empty or too long", "answer", "Send the correct answer.")
    source = asked.source or _SOURCE_BY_ROLE.get(caller.role, "user")
    if source == "review" and caller.role == "predict":
        raise HttpError(
            403,
            "the role 'predict' may not send feedback with source 'review'",
            "source",
            "Leave source out.",
        )
    if service.journal is None:
        raise JournalDisabled
    p = PREDICTIONS.c
    made_for = service.journal.read(lambda c: c.scalar(select(p.caller).where(p.id == asked.prediction)))
    if made_for is None or (caller.role == "predict" and made_for != caller.name):
        raise HttpError(
            404, "there is no such prediction", "prediction", "Use an id from a response of predict."
        )
    if asked.item is not None:
        logged = find_prediction(service.journal, asked.prediction) or {}
        require_listed(asked.item, logged.get("output") or {})
    record = FeedbackRecord(new_id(), time.time(), asked.prediction, answer, source, caller.name)
    service.journal.write(record)
    service.metrics.feedback.add(source)
    return {"id": record.id, "prediction": record.prediction, "source": source, "author": record.author}
