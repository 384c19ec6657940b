"""What a journal holds of a product, for those who review and learn: answers with their inputs, and what was said of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, literal_column, or_, select

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
    """rows: with an input, oldest first. without_input: rows whose input is a hash alone, has expired or was erased."""

    rows: tuple[LoggedPrediction, ...]
    without_input: int


def read_predictions(
    journal: Journal, name: str, after: str = "", latest: int = 20_000
) -> ReadablePredictions:
    """Return what a product answered after a prediction, its latest answers, and all that was ever said something of, oldest
    first.

    Raises RungError where inputs are encrypted and the master key is not here.
    """
    p = PREDICTIONS.c
    said_of = select(FEEDBACK.c.prediction).where(FEEDBACK.c.prediction == p.id).exists()
    begin = select(p.id).where(p.model == name).order_by(p.id.desc()).offset(latest).limit(1)

    def query(connection: Connection) -> ReadablePredictions:
        since = min(connection.scalar(begin) or "", after)
        wanted = select(PREDICTIONS).where(p.model == name, or_(p.id > since, said_of)).order_by(p.id)
        rows, without = [], 0
        for row in connection.execute(wanted):
            found = journal.encoder.input_of(connection, row)
            if found is None:
                without += 1
                continue
            output = json.loads(row.output)
            rows.append(
                LoggedPrediction(row.id, row.at, row.version, found, answer_of(output), row.probability)
            )
        return ReadablePredictions(tuple(rows), without)

    served: ReadablePredictions = journal.read(query)
    return served


def read_inputs(journal: Journal, ids: list[str]) -> dict[str, LoggedPrediction]:
    """Return prediction -> row, of those whose input is still there."""
    p = PREDICTIONS.c

    def query(connection: Connection) -> dict[str, LoggedPrediction]:
        found = {}
        for begin in range(0, len(ids), 500):
            for row in connection.execute(select(PREDICTIONS).where(p.id.in_(ids[begin : begin + 500]))):
                values = journal.encoder.input_of(connection, row)
                if values is not None:
                    output = json.loads(row.output)
                    found[row.id] = LoggedPrediction(
                        row.id, row.at, row.version, values, answer_of(output), row.probability
                    )
        return found

    rows: dict[str, LoggedPrediction] = journal.read(query)
    return rows


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
