"""Read predictions, with their inputs decrypted, and feedback from a journal.

Queries run in portions where the result can be large: memory does not grow with the journal, and a server
that writes meanwhile is not blocked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.exc import DBAPIError

from rung.core.blobs import Blob
from rung.core.errors import DataError, RungError
from rung.core.types import Field
from rung.journal.encryption import Cipher, master_key
from rung.journal.feedback_answers import answers_apart, is_apart
from rung.journal.media import InputCodec, is_readable
from rung.journal.place import open_for_reading
from rung.journal.records import InputDecoder
from rung.journal.schema import ACTION_KEY, FEEDBACK, FILE_NAME, PREDICTIONS
from rung.journal.writer import Journal

_PORTION_ROWS = 1_000
_IDS_PER_QUERY = 500


@dataclass(frozen=True)
class LoggedPrediction:
    """One served row.

    input: None where it was not stored (`hash`), was erased or expired (`none`), or cannot be decrypted here
    (`locked`); without_input says which, "" where there is an input. subject: see `RecordEncoder.person`.
    """

    id: str
    at: float
    input: dict[str, Any] | None
    without_input: str
    input_hash: str | None
    output: dict[str, Any]
    latency_ms: float
    price_usd: float
    version: str = ""
    answered_by: str = ""
    subject: str | None = None

    @property
    def answer(self) -> Any:
        """Return the task's own answer: a label or a number."""
        return answer_of(self.output)

    @property
    def probability(self) -> float | None:
        """Return the probability of the answer, where the model gives one."""
        found: float | None = self.output.get("probability")
        return found


@dataclass(frozen=True)
class LoggedFeedback:
    """One record of feedback. number: its position in the order of writing.

    answer: a label, a number, or an object with `ACTION_KEY`, which is an action of a reviewer. output: the
    answer of the model that it is about.
    """

    number: int
    id: str
    at: float
    prediction: str
    answer: Any
    source: str
    author: str
    output: dict[str, Any]


class JournalReader:
    """Reads a journal: `from_folder` opens the file of a service folder, `from_journal` uses one that is
    open.

    fields: the inputs, whose kinds convert stored values; without them values stay as they are stored. Media
    are blobs whose content is read from the journal when needed. Methods raise RungError when the journal
    cannot be read.
    """

    def __init__(
        self,
        read: Callable[[Callable[[Connection], Any]], Any],
        cipher: Cipher | None,
        fields: Sequence[Field] = (),
        close: Callable[[], None] = lambda: None,
    ) -> None:
        """read: calls a function with a connection and returns its result.

        close: called at the end of a `with` block.
        """
        self._read = read
        self._cipher = cipher
        self._codec = InputCodec(fields)
        self._close = close

    @classmethod
    def from_folder(cls, folder: Path, fields: Sequence[Field] = ()) -> Self:
        """Return a reader for a `with` block; raises RungError where the folder has no journal."""
        engine = open_for_reading(folder)

        def read(query: Callable[[Connection], Any]) -> Any:
            try:
                with engine.connect() as connection:
                    return query(connection)
            except DBAPIError as error:
                problem = f"the journal cannot be read: {type(error.orig).__name__}"
                raise RungError(problem, FILE_NAME, "Try again; if it fails again, check the file.") from None

        master = master_key()
        return cls(read, Cipher(master) if master else None, fields, engine.dispose)

    @classmethod
    def from_journal(cls, journal: Journal, fields: Sequence[Field] = ()) -> Self:
        """Return a reader of a journal that is open."""
        return cls(journal.read, journal.encoder.cipher, fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def predictions(
        self, model: str, version: str | None = None, after: str = "", until: float = float("inf")
    ) -> Iterator[list[LoggedPrediction]]:
        """Yield portions of a model's predictions, oldest first. version: None for all versions.

        after: the id of the last known row, "" for none. until: seconds since 1970. Media in rows can be
        measured, not read.
        """
        p = PREDICTIONS.c
        wanted = select(PREDICTIONS).where(p.model == model).order_by(p.id).limit(_PORTION_ROWS)
        if until < float("inf"):
            wanted = wanted.where(p.at < until)
        if version is not None:
            wanted = wanted.where(p.version == version)
        while True:
            portion = self._portion(wanted.where(p.id > after))
            if portion:
                yield portion
                after = portion[-1].id
            if len(portion) < _PORTION_ROWS:
                return

    def last_at(self, model: str, version: str) -> float:
        """Return when the newest prediction was made, in seconds since 1970; 0.0 where there is none."""
        p = PREDICTIONS.c
        newest = select(func.max(p.at)).where(p.model == model, p.version == version)
        return float(self._read(lambda connection: connection.scalar(newest)) or 0.0)

    def reviewable(
        self, model: str, after: str = "", latest: int = 20_000
    ) -> tuple[list[LoggedPrediction], int]:
        """Return predictions whose input and its media are stored, oldest first, and the number of the
        others.

        These are all predictions after the id `after`, the `latest` ones, and those that have feedback.
        Raises RungError where inputs are encrypted and the master key is not set.
        """
        p = PREDICTIONS.c
        has_feedback = select(FEEDBACK.c.prediction).where(FEEDBACK.c.prediction == p.id).exists()
        first = select(p.id).where(p.model == model).order_by(p.id.desc()).offset(latest).limit(1)

        def query(connection: Connection) -> tuple[list[LoggedPrediction], int]:
            since = min(connection.scalar(first) or "", after)
            wanted = select(PREDICTIONS).where(p.model == model, or_(p.id > since, has_feedback))
            decoder = InputDecoder(self._cipher)
            rows, without_input = [], 0
            for row in connection.execute(wanted.order_by(p.id)):
                logged = self._with_media(row, *decoder.require_all(connection, row))
                if logged is None:
                    without_input += 1
                else:
                    rows.append(logged)
            return rows, without_input

        found: tuple[list[LoggedPrediction], int] = self._read(query)
        return found

    def by_id(self, ids: Sequence[str]) -> dict[str, LoggedPrediction]:
        """Return id -> prediction for those whose input and its media are stored.

        Raises RungError as `reviewable` does.
        """

        def query(connection: Connection) -> dict[str, LoggedPrediction]:
            decoder = InputDecoder(self._cipher)
            found = {}
            for begin in range(0, len(ids), _IDS_PER_QUERY):
                some = ids[begin : begin + _IDS_PER_QUERY]
                for row in connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id.in_(some))):
                    logged = self._with_media(row, *decoder.require_all(connection, row))
                    if logged is not None:
                        found[row.id] = logged
            return found

        rows: dict[str, LoggedPrediction] = self._read(query)
        return rows

    def feedback(
        self, model: str, after: int = 0, version: str | None = None, until: float = float("inf")
    ) -> list[LoggedFeedback]:
        """Return all feedback on a model's predictions with a number above `after`, in the order of writing."""
        f, p = FEEDBACK.c, PREDICTIONS.c
        number: ColumnElement[int] = literal_column("feedback.rowid", Integer)
        wanted = (
            select(number.label("number"), FEEDBACK, p.output)
            .join(PREDICTIONS, p.id == f.prediction)
            .where(p.model == model, number > after)
            .order_by(number)
        )
        if until < float("inf"):
            wanted = wanted.where(f.at < until)
        if version is not None:
            wanted = wanted.where(p.version == version)

        def query(connection: Connection) -> list[LoggedFeedback]:
            rows = list(connection.execute(wanted))
            apart = answers_apart(connection, InputDecoder(self._cipher), rows)
            found = [
                LoggedFeedback(
                    row.number, row.id, row.at, row.prediction, apart[row.id] if is_apart(row) else json.loads(row.answer),
                    row.source, row.author, json.loads(row.output),
                )
                for row in rows
                # An erased answer is none; one that cannot be decrypted here is nobody's either.
                if not is_apart(row) or row.id in apart
            ]  # fmt: skip
            lacking = sorted({item.prediction for item in found if None in item.output.values()})
            whole = self._whole_outputs(connection, lacking) if lacking else {}
            return [replace(item, output=whole.get(item.prediction, item.output)) for item in found]

        found: list[LoggedFeedback] = self._read(query)
        return found

    def _whole_outputs(self, connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return id -> answer with its derived parts, where they are stored and can be decrypted."""
        decoder, found = InputDecoder(self._cipher), {}
        for begin in range(0, len(ids), _IDS_PER_QUERY):
            some = ids[begin : begin + _IDS_PER_QUERY]
            for row in connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id.in_(some))):
                found[row.id] = decoder.decode_all(connection, row)[1]
        return found

    def latest_feedback(
        self, model: str, version: str | None = None, until: float = float("inf")
    ) -> list[LoggedFeedback]:
        """Return the latest answer of each source on each prediction, in the order of writing.

        Actions of reviewers are applied: an undone answer is left out, a settled one counts with its label.
        """
        standing: dict[str, LoggedFeedback] = {}
        for item in self.feedback(model, version=version, until=until):
            answer = item.answer
            if isinstance(answer, dict) and ACTION_KEY in answer:
                if answer[ACTION_KEY] == "undo":
                    standing.pop(answer.get("of", ""), None)
                if answer[ACTION_KEY] != "settle" or answer.get("label") is None:
                    continue
                item = replace(item, answer=answer["label"])
            standing[item.id] = item
        latest: dict[tuple[str, str], LoggedFeedback] = {}
        for item in standing.values():
            key = (item.prediction, item.source)
            latest.pop(key, None)
            latest[key] = item
        return list(latest.values())

    def media(self, id: str, field: str, blob: Blob) -> bytes:
        """Return the content of a blob in a prediction's input; raises DataError when it is no longer stored."""

        def query(connection: Connection) -> Any:
            row = connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id == id)).first()
            return InputDecoder(self._cipher).require(connection, row) if row else None

        raw = self._read(query)
        found = self._codec.decode(raw)[field] if raw is not None else None
        if not isinstance(found, Blob) or found.sha256 != blob.sha256:
            raise DataError("its content is no longer in the journal", blob.shown(), "Start again.")
        return found.read()

    def _portion(self, wanted: Select[Any]) -> list[LoggedPrediction]:
        def query(connection: Connection) -> list[LoggedPrediction]:
            decoder, found = InputDecoder(self._cipher), []
            for row in connection.execute(wanted).all():
                raw, output, reason = decoder.decode_all(connection, row)
                found.append(_logged(row, None if raw is None else self._codec.decode(raw), output, reason))
            return found

        rows: list[LoggedPrediction] = self._read(query)
        return rows

    def _with_media(self, row: Any, raw: Any, output: dict[str, Any]) -> LoggedPrediction | None:
        """Return a prediction whose media can be read; None where the input or media in it are not stored."""
        values = None if raw is None else self._codec.decode(raw)
        if values is None or not is_readable(values):
            return None
        for name, value in values.items():
            if isinstance(value, Blob):
                values[name] = replace(value, source=_StoredMedia(self, row.id, name))
        return _logged(row, values, output, "")


@dataclass(frozen=True)
class _StoredMedia:
    """Reads a blob's content from the journal when needed: the media of many rows would fill the memory."""

    reader: JournalReader
    id: str
    field: str

    def read(self, blob: Blob) -> bytes:
        """Return the content; raises DataError when it is no longer stored."""
        return self.reader.media(self.id, self.field, blob)


def answer_of(output: Mapping[str, Any]) -> Any:
    """Return the task's answer in a stored output: its first field, a label or a number; a list as its JSON text."""
    found = next((value for key, value in output.items() if key not in {"probability", "answered_by"}), None)
    return json.dumps(found, ensure_ascii=False) if isinstance(found, list) else found


def _logged(
    row: Any, value: dict[str, Any] | None, output: dict[str, Any], without_input: str
) -> LoggedPrediction:
    return LoggedPrediction(
        row.id,
        row.at,
        value,
        without_input,
        row.input_hash,
        output,
        row.latency_ms,
        row.price_usd,
        row.version,
        row.answered_by,
        row.subject,
    )
