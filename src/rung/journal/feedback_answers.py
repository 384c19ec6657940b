"""Stores answers in words, given as feedback, apart from the append-only feedback: they derive from inputs, so they can be erased.

A label or a number says nothing that erasure must remove and stands in the feedback itself.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select
from sqlalchemy import inspect as inspect_database

from rung.journal.records import FeedbackRecord, InputDecoder, RecordEncoder
from rung.journal.schema import ACTION_KEY, FEEDBACK, FEEDBACK_ANSWERS, PREDICTIONS

# Stands in the feedback for an answer that is stored apart. Readers of version 0.1 take it for an action they do not know.
_APART = json.dumps({ACTION_KEY: "apart"})


def feedback_row(connection: Connection, encoder: RecordEncoder, record: FeedbackRecord) -> dict[str, Any]:
    """Return the row of a feedback to insert; an answer in words is inserted apart, as inputs are stored, and replaced in it."""
    row = dict(vars(record))
    p = PREDICTIONS.c
    found = connection.execute(
        select(p.output, p.subject, p.input_kept).where(p.id == record.prediction)
    ).first()
    if found is None or not _is_in_words(found.output, record.answer):
        return row
    stored = encoder.encode_answer(connection, found, record)
    if stored is not None:
        values = {"id": record.id, "prediction": record.prediction, "answer": stored}
        connection.execute(insert(FEEDBACK_ANSWERS).values(**values))
    return row | {"answer": _APART}


def _is_in_words(output: str, answer: str) -> bool:
    """Return whether an answer is to be stored apart: one to a prediction whose own answer derives from its input."""
    if None not in json.loads(output).values():
        return False
    value = json.loads(answer)
    # An action of a reviewer without an answer, such as an undo, has none of its own.
    return not (isinstance(value, dict) and ACTION_KEY in value and value.get("label") is None)


def answers_apart(connection: Connection, decoder: InputDecoder, rows: list[Any]) -> dict[str, Any]:
    """Return feedback id -> answer, for the answers of these rows that are stored apart; erased and locked ones are missing."""
    wanted = [row.id for row in rows if row.answer == _APART]
    # A journal that only version 0.1 has opened has no such table.
    if not wanted or not inspect_database(connection).has_table(FEEDBACK_ANSWERS.name):
        return {}
    found: dict[str, Any] = {}
    a, p = FEEDBACK_ANSWERS.c, PREDICTIONS.c
    for begin in range(0, len(wanted), 500):
        some = (
            select(a.id, a.answer.label("input"), p.input_kept, p.subject, p.output)
            .join(PREDICTIONS, p.id == a.prediction)
            .where(a.id.in_(wanted[begin : begin + 500]))
        )
        for row in connection.execute(some):
            value, reason = decoder.decode(connection, row)
            if not reason:
                found[row.id] = value
    return found


def is_apart(row: Any) -> bool:
    """Return whether the answer of a row of feedback is stored apart."""
    return bool(row.answer == _APART)


def erase_answers(connection: Connection, predictions: ColumnElement[bool]) -> None:
    """Delete the answers in words to these predictions."""
    ids = select(PREDICTIONS.c.id).where(predictions)
    connection.execute(delete(FEEDBACK_ANSWERS).where(FEEDBACK_ANSWERS.c.prediction.in_(ids)))


def insert_feedback(connection: Connection, encoder: RecordEncoder, record: FeedbackRecord) -> None:
    """Insert a feedback, its answer apart where that is one in words."""
    connection.execute(insert(FEEDBACK).values(**feedback_row(connection, encoder, record)))
