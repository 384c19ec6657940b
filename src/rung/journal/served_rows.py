"""What was served, read from the journal in the order of time: inputs decrypted where the key is here, and feedback.

Reads alone, in portions: memory does not grow with the journal, and a server that writes meanwhile is not held up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rung.core.errors import MissingExtra, RungError
from rung.core.types import Field
from rung.journal.encryption import MASTER_KEY_VARIABLE, Cipher, master_key
from rung.journal.media import InputCodec

NAME = "journal.db"
_PORTION = 1_000
# Rows are numbered before they are committed: one that is younger may be there before its elder.
SETTLED_SECONDS = 10.0


@dataclass(frozen=True)
class ServedPrediction:
    """One answered row. input: None where it is not kept (`hash`), was erased or expired (`none`), or cannot be
    decrypted here (`locked`); without_input says which."""

    id: str
    at: float
    input: dict[str, Any] | None
    without_input: str
    input_hash: str | None
    output: dict[str, Any]
    latency_ms: float
    price_usd: float


@dataclass(frozen=True)
class FeedbackVerdict:
    """Feedback on a row: its last word from one source. right: what would have been right."""

    prediction: str
    at: float
    right: Any
    source: str
    output: dict[str, Any]


@dataclass
class JournalReader:
    """The journal of a service folder, open for reading. Use it in a `with` block.

    Raises RungError where there is none, and MissingExtra without SQLAlchemy.
    """

    folder: Path
    _keys: dict[str, bytes | None] = field(default_factory=dict)

    def __enter__(self) -> Self:
        path = self.folder / NAME
        if not path.is_file():
            fix = "Serve the product first: rung serve product.yaml. Without `rung[ops]` or with --no-journal nothing is kept."
            raise RungError("there is no journal here", str(path), fix)
        try:
            from sqlalchemy import create_engine
        except ImportError:
            raise MissingExtra("reading the journal", "ops", "SQLAlchemy") from None
        self._engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 10})
        master = master_key()
        self._cipher = Cipher(master) if master else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    def rows(
        self, model: str, version: str | None, after: str, until: float, fields: Sequence[Field] = ()
    ) -> Iterator[list[ServedPrediction]]:
        """Yield portions of what a model answered, oldest first. version: None for all of them.

        after: the id of the last row that is known already; "" for none. until: seconds since 1970. fields: the inputs,
        by whose kinds values are read: media come as blobs that can be measured.
        """
        from sqlalchemy import select

        from rung.journal.schema import PREDICTIONS

        p, codec = PREDICTIONS.c, InputCodec(fields)
        wanted = select(PREDICTIONS).where(p.model == model, p.at < until).order_by(p.id).limit(_PORTION)
        if version is not None:
            wanted = wanted.where(p.version == version)
        while True:
            found = self._ask(wanted.where(p.id > after))
            if found:
                yield [self._row(row, codec) for row in found]
                after = found[-1].id
            if len(found) < _PORTION:
                return

    def feedback(self, model: str, version: str | None, until: float) -> list[FeedbackVerdict]:
        """Return the last word of each source on each prediction of a model, by the time it was said."""
        from sqlalchemy import select

        from rung.journal.schema import ACTION_KEY, FEEDBACK, PREDICTIONS

        p, f = PREDICTIONS.c, FEEDBACK.c
        wanted = (
            select(f.id, f.prediction, f.at, f.answer, f.source, p.output)
            .join(PREDICTIONS, p.id == f.prediction)
            .where(p.model == model, f.at < until)
            .order_by(f.id)
        )
        if version is not None:
            wanted = wanted.where(p.version == version)
        said: dict[str, tuple[Any, Any]] = {}
        for row in self._ask(wanted):
            right = json.loads(row.answer)
            if isinstance(right, dict) and ACTION_KEY in right:
                # A reviewer's word about a label: taken back, settled, or that none can be told.
                if right[ACTION_KEY] == "undo":
                    said.pop(right.get("of", ""), None)
                if right[ACTION_KEY] != "settle" or right.get("label") is None:
                    continue
                right = right["label"]
            said[row.id] = (row, right)
        last: dict[tuple[str, str], FeedbackVerdict] = {}
        for row, right in said.values():
            key = (row.prediction, row.source)
            last.pop(key, None)
            last[key] = FeedbackVerdict(row.prediction, row.at, right, row.source, json.loads(row.output))
        return list(last.values())

    def _ask(self, query: Any) -> Sequence[Any]:
        from sqlalchemy.exc import DatabaseError

        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except DatabaseError as error:
            raise RungError(
                f"the journal cannot be read: {type(error.orig).__name__}", NAME, "Try again; else look at the file."
            ) from None  # fmt: skip

    def _row(self, row: Any, codec: InputCodec) -> ServedPrediction:
        value, why = self._input(row)
        value = None if value is None else codec.decode(value)
        return ServedPrediction(
            row.id, row.at, value, why, row.input_hash, json.loads(row.output), row.latency_ms, row.price_usd
        )

    def _input(self, row: Any) -> tuple[dict[str, Any] | None, str]:
        if row.input is None:
            return None, row.input_kept
        if row.input_kept == "plain":
            return json.loads(row.input), ""
        if self._cipher is None:
            return None, "locked"
        key = self._key(row.subject)
        if key is None:
            return None, "none"
        return json.loads(self._cipher.decrypt(key, row.input, row.id)), ""

    def _key(self, subject: str) -> bytes | None:
        """Return a subject's key; None for one that was erased."""
        from sqlalchemy import select

        from rung.journal.schema import SUBJECTS

        if subject not in self._keys:
            if len(self._keys) > 10_000:
                self._keys.clear()
            found = self._ask(select(SUBJECTS.c.wrapped_key).where(SUBJECTS.c.id == subject))
            wrapped = found[0].wrapped_key if found else None
            assert self._cipher is not None  # noqa: S101 - asked for with a cipher alone
            self._keys[subject] = self._cipher.unwrap(wrapped, subject) if wrapped else None
        return self._keys[subject]


def why_locked() -> str:
    """Return what to do where inputs cannot be decrypted."""
    return f"Set {MASTER_KEY_VARIABLE} to the key the journal was written with."
