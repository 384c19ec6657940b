"""What a journal holds of a product, for those who review and learn: answers with their inputs, and what was said of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, literal_column, or_, select

from rung.core.blobs import Blob
from rung.core.errors import DataError
from rung.core.types import Field
from rung.journal.media import InputCodec, is_readable
from rung.journal.schema import FEEDBACK, PREDICTIONS
from rung.journal.writer import Journal


@dataclass(frozen=True)
class LoggedPrediction:
    """One served row. input: as the model read it. answer: the task's own; probability: of it, where the model has one."""

    id: str
    at: float
    version: str
    input: Mapping[str, Any]
    answer: Any
    probability: float | None


@dataclass(frozen=True)
class LoggedFeedback:
    """One record of feedback, in the order of writing. number: of that order. answer: a label, or an object with WORD."""

    number: int
    id: str
    at: float
    prediction: str
    answer: Any
    source: str
    author: str


@dataclass(frozen=True)
class ReadablePredictions:
    """rows: with an input, oldest first. without_input: rows whose input, or whose media in it, is a hash alone, has
    expired or was erased.
    """

    rows: tuple[LoggedPrediction, ...]
    without_input: int


def read_predictions(
    journal: Journal, name: str, fields: Sequence[Field] = (), after: str = "", latest: int = 20_000
) -> ReadablePredictions:
    """Return what a product answered after a prediction, its latest answers, and all that was ever said something of, oldest
    first.

    fields: the inputs, by whose kinds values are read. Raises RungError where inputs are encrypted and the master key is not here.
    """
    p, codec = PREDICTIONS.c, InputCodec(fields)
    said_of = select(FEEDBACK.c.prediction).where(FEEDBACK.c.prediction == p.id).exists()
    begin = select(p.id).where(p.model == name).order_by(p.id.desc()).offset(latest).limit(1)

    def query(connection: Connection) -> ReadablePredictions:
        since = min(connection.scalar(begin) or "", after)
        wanted = select(PREDICTIONS).where(p.model == name, or_(p.id > since, said_of)).order_by(p.id)
        rows, without = [], 0
        for row in connection.execute(wanted):
            logged = _logged(journal, connection, codec, row)
            if logged is None:
                without += 1
            else:
                rows.append(logged)
        return ReadablePredictions(tuple(rows), without)

    served: ReadablePredictions = journal.read(query)
    return served


def read_inputs(
    journal: Journal, ids: list[str], fields: Sequence[Field] = ()
) -> dict[str, LoggedPrediction]:
    """Return prediction -> row, of those whose input is still there. fields: see `read_predictions`."""
    p, codec = PREDICTIONS.c, InputCodec(fields)

    def query(connection: Connection) -> dict[str, LoggedPrediction]:
        found = {}
        for begin in range(0, len(ids), 500):
            for row in connection.execute(select(PREDICTIONS).where(p.id.in_(ids[begin : begin + 500]))):
                logged = _logged(journal, connection, codec, row)
                if logged is not None:
                    found[row.id] = logged
        return found

    rows: dict[str, LoggedPrediction] = journal.read(query)
    return rows


@dataclass(frozen=True)
class _StoredMedia:
    """The content of a value in the journal, read again when it is needed: many rows' media would fill the memory."""

    journal: Journal
    id: str
    field: str
    codec: InputCodec

    def read(self, blob: Blob) -> bytes:
        """Return the content; raises DataError when it has expired or was erased meanwhile."""

        def query(connection: Connection) -> Any:
            row = connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id == self.id)).first()
            return self.journal.encoder.input_of(connection, row) if row else None

        raw = self.journal.read(query)
        found = self.codec.decode(raw)[self.field] if raw is not None else None
        if not isinstance(found, Blob) or found.sha256 != blob.sha256:
            raise DataError("its content is not in the journal any more", blob.shown(), "Begin again.")
        return found.read()


def _logged(journal: Journal, connection: Connection, codec: InputCodec, row: Any) -> LoggedPrediction | None:
    """Return a row with its input; None where that is not kept, media included."""
    raw = journal.encoder.input_of(connection, row)
    values = None if raw is None else codec.decode(raw)
    if values is None or not is_readable(values):
        return None
    for name, value in values.items():
        if isinstance(value, Blob):
            values[name] = replace(value, source=_StoredMedia(journal, row.id, name, codec))
    answer = answer_of(json.loads(row.output))
    return LoggedPrediction(row.id, row.at, row.version, values, answer, row.probability)


def read_feedback(journal: Journal, name: str, after: int = 0) -> list[LoggedFeedback]:
    """Return all feedback on a product's answers with a number above `after`, in the order it was written."""
    f = FEEDBACK.c
    number: ColumnElement[int] = literal_column("feedback.rowid", Integer)
    wanted = (
        select(number.label("number"), FEEDBACK)
        .join(PREDICTIONS, PREDICTIONS.c.id == f.prediction)
        .where(PREDICTIONS.c.model == name, number > after)
        .order_by(number)
    )

    def query(connection: Connection) -> list[LoggedFeedback]:
        return [
            LoggedFeedback(
                row.number, row.id, row.at, row.prediction, json.loads(row.answer), row.source, row.author
            )
            for row in connection.execute(wanted)
        ]

    said: list[LoggedFeedback] = journal.read(query)
    return said


def answer_of(output: Mapping[str, Any]) -> Any:
    """Return the task's answer in a journal's output: its first field, a label or a number."""
    return next((value for key, value in output.items() if key not in {"probability", "answered_by"}), None)
