"""Rights of data subjects and retention: export, erasure, and expiry of inputs."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from rung.journal.feedback_answers import answers_apart, erase_answers, is_apart
from rung.journal.records import InputDecoder, RecordEncoder, output_as_json
from rung.journal.schema import FEEDBACK, KEYS_CHANGED, PREDICTIONS, SETTINGS, SHADOWS, SUBJECTS
from rung.journal.writer import Journal

_BATCH_ROWS = 5_000
# Clocks of servers that share a journal differ by less.
_CLOCK_TOLERANCE_SECONDS = 3_600.0
_CLEARED_COLUMNS = {"input": None, "input_hash": None, "input_kept": "none", "subject": None}


def find_prediction(journal: Journal, id: str) -> dict[str, Any] | None:
    """Return one prediction with its input, where stored, and all its feedback.

    None when there is no such prediction.
    """

    def query(connection: Connection) -> dict[str, Any] | None:
        row = connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id == id)).first()
        return _prediction_as_dict(connection, InputDecoder(journal.encoder.cipher), row) if row else None

    found: dict[str, Any] | None = journal.read(query)
    return found


def export_subject(journal: Journal, subject: str) -> dict[str, Any]:
    """Return everything that the journal contains about a subject, oldest first."""
    subject_id = journal.encoder.subject_id(subject)

    def query(connection: Connection) -> dict[str, Any]:
        entry = connection.execute(select(SUBJECTS).where(SUBJECTS.c.id == subject_id)).first()
        wanted = select(PREDICTIONS).where(PREDICTIONS.c.subject == subject_id).order_by(PREDICTIONS.c.id)
        rows = connection.execute(wanted).all()
        decoder = InputDecoder(journal.encoder.cipher)
        return {
            "subject": subject,
            "erased_at": entry.erased_at if entry else None,
            "predictions": [_prediction_as_dict(connection, decoder, row) for row in rows],
        }

    found: dict[str, Any] = journal.read(query)
    return found


def erase_subject(journal: Journal, subject: str, author: str) -> dict[str, Any]:
    """Delete a subject's key, inputs and hashes; return the tombstone.

    Answers and feedback stay, without the subject.

    An unknown subject gets a tombstone too: none of their inputs is stored from then on.
    """
    subject_id = journal.encoder.subject_id(subject)

    def job(connection: Connection, rows: RecordEncoder) -> dict[str, Any]:
        mine = PREDICTIONS.c.subject == subject_id
        count = connection.scalar(select(func.count()).where(mine)) or 0
        before = connection.execute(select(SUBJECTS).where(SUBJECTS.c.id == subject_id)).first()
        stone = {"wrapped_key": None, "erased_at": time.time(), "erased_by": author}
        if before is None:
            made = {"id": subject_id, "made_at": time.time(), "erased_predictions": 0}
            connection.execute(SUBJECTS.insert().values(**stone, **made))
        else:
            stone["erased_predictions"] = count + (before.erased_predictions or 0)
            connection.execute(update(SUBJECTS).where(SUBJECTS.c.id == subject_id).values(**stone))
        _drop_reasons(connection, mine)
        erase_answers(connection, mine)
        connection.execute(update(PREDICTIONS).where(mine).values(**_CLEARED_COLUMNS))
        _announce_changed_keys(connection)
        rows.clear_keys()
        return {"erased_predictions": count, "erased_at": stone["erased_at"], "erased_by": author}

    found: dict[str, Any] = journal.execute(job)
    # The log still contains the old pages.
    journal.remove_erased()
    return found


def expire_inputs(journal: Journal, now: float | None = None) -> int:
    """Remove inputs, hashes and subjects of predictions older than `keep_days`.

    Return the number of predictions.
    """
    now = time.time() if now is None else now
    until = now - journal.keep_days * 86_400
    journal.execute(lambda connection, _: _correct_future_times(connection, now, until))
    taken = 0
    while count := expire_batch(journal, until):
        taken += count

    def close(connection: Connection, rows: RecordEncoder) -> None:
        _set_expired_until(connection, until)
        used = select(PREDICTIONS.c.id).where(PREDICTIONS.c.subject == SUBJECTS.c.id).exists()
        connection.execute(
            delete(SUBJECTS).where(SUBJECTS.c.erased_at.is_(None), SUBJECTS.c.made_at < until, ~used)
        )
        _announce_changed_keys(connection)
        rows.clear_keys()

    journal.execute(close)
    return taken


def expire_batch(journal: Journal, until: float) -> int:
    """Expire one batch, so that answers do not wait for all of them; return its size, 0 when none is left."""

    def job(connection: Connection, rows: RecordEncoder) -> int:
        begun = float(
            connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.name == "expired_until")) or 0
        )
        p = PREDICTIONS.c
        old = select(p.id, p.at).where(p.at >= begun, p.at < until, p.input_kept != "none")
        portion = old.order_by(p.at).limit(_BATCH_ROWS).subquery()
        # The next batch begins where this one ends.
        reached = connection.scalar(select(func.max(portion.c.at)))
        if reached is None:
            return 0
        ids = select(portion.c.id)
        _drop_reasons(connection, p.id.in_(ids))
        erase_answers(connection, p.id.in_(ids))
        count = connection.execute(
            update(PREDICTIONS).where(p.id.in_(ids)).values(**_CLEARED_COLUMNS)
        ).rowcount
        _set_expired_until(connection, reached)
        return count

    count: int = journal.execute(job)
    return count


def _drop_reasons(connection: Connection, rows: ColumnElement[bool]) -> None:
    """Remove reasons from answers: version 0.1 stored them there, and they repeat the input."""
    p = PREDICTIONS.c
    for row in connection.execute(select(p.id, p.output).where(rows, p.output.like('%"reasons"%'))).all():
        output = json.loads(row.output)
        output.pop("reasons", None)
        connection.execute(update(PREDICTIONS).where(p.id == row.id).values(output=output_as_json(output)))


def _correct_future_times(connection: Connection, now: float, until: float) -> None:
    """Undo what a clock that was ahead has left: times to come, which would not expire, and an expiry that is ahead."""
    for table, at in ((PREDICTIONS, PREDICTIONS.c.at), (SUBJECTS, SUBJECTS.c.made_at)):
        connection.execute(update(table).where(at > now + _CLOCK_TOLERANCE_SECONDS).values({at.name: now}))
    reached = connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.name == "expired_until"))
    if float(reached or 0) > until:
        _set_expired_until(connection, 0.0)


def _announce_changed_keys(connection: Connection) -> None:
    """Make other servers of this journal drop the keys they have in memory."""
    value = secrets.token_bytes(8)
    changed = connection.execute(update(SETTINGS).where(SETTINGS.c.name == KEYS_CHANGED).values(value=value))
    if not changed.rowcount:
        connection.execute(insert(SETTINGS).values(name=KEYS_CHANGED, value=value))


def _set_expired_until(connection: Connection, at: float) -> None:
    connection.execute(
        update(SETTINGS).where(SETTINGS.c.name == "expired_until").values(value=repr(at).encode())
    )


def _prediction_as_dict(connection: Connection, decoder: InputDecoder, row: Any) -> dict[str, Any]:
    feedback = connection.execute(
        select(FEEDBACK).where(FEEDBACK.c.prediction == row.id).order_by(FEEDBACK.c.id)
    ).all()
    shadows = connection.execute(
        select(SHADOWS.c.version, SHADOWS.c.output)
        .where(SHADOWS.c.prediction == row.id)
        .order_by(SHADOWS.c.id)
    ).all()
    shown = {key: value for key, value in row._mapping.items() if key not in {"input", "subject", "output"}}
    value, output = decoder.require_all(connection, row)
    apart = answers_apart(connection, decoder, list(feedback))
    return shown | {
        "input": value,
        "output": output,
        "feedback": [
            {**item._mapping, "answer": apart.get(item.id) if is_apart(item) else json.loads(item.answer)}
            for item in feedback
        ],
        "shadows": [
            {"version": item.version, "output": json.loads(item.output)}
            for item in shadows
            if item.output is not None
        ],
    }
