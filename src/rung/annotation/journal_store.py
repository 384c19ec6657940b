"""Store of reviewers' labels in the journal, as append-only feedback with the source `review` or `audit`.

A label is stored as feedback whose answer is the label. Other actions (skip, unclear, settle, undo) are
stored as objects such as {"rung": "undo", "of": id}. An undo is a new record; no record is changed.
Implements `AnnotationStore`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from rung.core.errors import InputError
from rung.core.scalars import label_text
from rung.data.labels.consensus import number_text
from rung.data.labels.pool import AnswerKind
from rung.data.labels.store import KINDS, LABEL, SETTLE, SKIP, UNCLEAR, UNDO, Entry
from rung.journal.feedback_answers import insert_feedback
from rung.journal.reader import JournalReader, LoggedFeedback
from rung.journal.records import FeedbackRecord, RecordEncoder, new_id
from rung.journal.schema import ACTION_KEY, FEEDBACK
from rung.journal.writer import Journal

REVIEW, AUDIT = "review", "audit"
# An answer that is sent again within a day, after a network failure, is written once.
_DUPLICATE_SECONDS = 86_400.0


class JournalAnnotationStore:
    """The labels of one product's reviewers in its journal.

    texts: prediction id -> text hash of every row that can be reviewed. audited: text hashes of the audit;
    for these only labels given on the page or by CSV count, where no model answer is shown. answer_kind: of
    `data.labels.pool`; the journal stores numbers as numbers, entries as `number_text`.
    """

    def __init__(
        self,
        journal: Journal,
        name: str,
        texts: Mapping[str, str],
        audited: Collection[str] = (),
        answer_kind: AnswerKind = "label",
    ) -> None:
        self._is_number = answer_kind == "number"
        self._journal, self._name, self._texts, self._audited = journal, name, texts, frozenset(audited)
        self._numbers: dict[str, int] = {}
        self._ids: dict[int, str] = {}

    def add(self, *entries: Entry) -> list[int]:
        """Write entries, all or none, and return their numbers once committed.

        An entry's `file` is its prediction id.
        """
        records = [self._to_record(entry) for entry in entries]

        def write(connection: Connection, rows: RecordEncoder) -> list[str]:
            ids = []
            for entry, record in zip(entries, records, strict=True):
                known = self._existing_id(connection, entry)
                if known is None:
                    insert_feedback(connection, rows, record)
                ids.append(known or record.id)
            return ids

        ids: list[str] = self._journal.execute(write)
        self.entries(0 if not self._numbers else max(self._numbers.values()))
        return [self._numbers[id] for id in ids]

    def entries(self, after: int = 0) -> list[Entry]:
        """Return all entries of reviewers with a number above `after`, in order."""
        found = []
        for feedback in JournalReader.from_journal(self._journal).feedback(self._name, after):
            self._numbers[feedback.id], self._ids[feedback.number] = feedback.number, feedback.id
            entry = self._to_entry(feedback)
            if entry is not None:
                found.append(entry)
        return found

    def _to_record(self, entry: Entry) -> FeedbackRecord:
        if entry.kind not in KINDS:
            raise ValueError(f"'{entry.kind}' is no kind of entry")
        answer: Any = float(entry.label) if self._is_number and entry.label is not None else entry.label
        if entry.kind == UNDO:
            answer = {ACTION_KEY: UNDO, "of": self._ids.get(entry.of or 0, "")}
        elif entry.kind != LABEL:
            answer = {ACTION_KEY: entry.kind, "label": answer}
        made = new_id()
        if entry.token:
            # The second half of the id comes from the token, so a repeated request is recognised.
            made = made[:16] + _token_digest(entry)
        source = AUDIT if entry.how == "audit" else REVIEW
        return FeedbackRecord(
            made, time.time(), entry.file, json.dumps(answer, ensure_ascii=False), source, entry.author
        )

    def _existing_id(self, connection: Connection, entry: Entry) -> str | None:
        if not entry.token:
            return None
        f = FEEDBACK.c
        same = select(f.id).where(
            f.at > time.time() - _DUPLICATE_SECONDS,
            f.author == entry.author,
            func.substr(f.id, 17) == _token_digest(entry),
        )
        found: str | None = connection.scalar(same)
        return found

    def _to_entry(self, feedback: LoggedFeedback) -> Entry | None:
        text = self._texts.get(feedback.prediction)
        if text is None or feedback.source != (AUDIT if text in self._audited else REVIEW):
            return None
        kind: Any = LABEL
        label, of = feedback.answer, None
        if isinstance(feedback.answer, dict):
            kind, label = feedback.answer.get(ACTION_KEY), feedback.answer.get("label")
            of = self._numbers.get(feedback.answer.get("of", ""))
        if self._is_number and label is not None:
            label = number_text(label)
            if label is None:
                return None
        elif isinstance(label, bool | int | float):
            label = label_text(label)
        if kind not in {LABEL, SKIP, UNCLEAR, SETTLE, UNDO} or not isinstance(label, str | None):
            return None
        how = "audit" if feedback.source == AUDIT else "review"
        return Entry(
            feedback.author,
            kind,
            text,
            feedback.prediction,
            0,
            label,
            how,
            None,
            of,
            None,
            feedback.number,
            str(feedback.at),
        )


def _token_digest(entry: Entry) -> str:
    return hashlib.sha256(f"{entry.author}\n{entry.token}".encode()).hexdigest()[:16]


def require_readable(rows: int, without_input: int, where: str) -> None:
    """Raise InputError when no served row can be shown to reviewers."""
    if rows:
        return
    if without_input:
        fix = "Set RUNG_MASTER_KEY before `rung serve` (`rung keys master` prints one), or write `serve: {inputs: plain}`. Media also need `media: keep`."
        raise InputError(
            f"none of the {without_input:,} served rows can be read: their inputs are not stored", where, fix
        )
    raise InputError(
        "nothing has been served yet", where, "Serve the product first: rung serve product.yaml."
    )
