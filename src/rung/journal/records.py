"""From an answer to a row of the journal: the input encrypted, hashed or plain, the subject as a keyed hash."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select

from rung.core.errors import RungError
from rung.journal.encryption import MASTER_KEY_VARIABLE, Cipher, keyed_hash, master_key
from rung.journal.schema import SUBJECTS

# Keys of subjects held in memory; beyond it they are read again.
_MAX_CACHED_KEYS = 10_000
_DAY_FORMAT = "%Y-%m-%d"


@dataclass(frozen=True)
class PredictionRecord:
    """One answered row. subject: whom the input is about, as the caller names them; None: nobody in particular.

    input: as it is written, media by reference. identity: what its hash is made of where that is not the whole input.
    """

    id: str
    at: float
    request_id: str
    model: str
    version: str
    answered_by: str
    caller: str
    subject: str | None
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    latency_ms: float
    price_usd: float
    identity: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class FeedbackRecord:
    """What someone said of a prediction. answer: JSON of what would have been right. author: a key's name."""

    id: str
    at: float
    prediction: str
    answer: str
    source: str
    author: str


@dataclass(frozen=True)
class ShadowRecord:
    """What a challenger in shadow answered to a row that is in the journal. output: JSON; None where error says why not."""

    id: str
    at: float
    prediction: str
    version: str
    output: str | None
    error: str
    compute_ms: float
    price_usd: float
    skipped: int


_lock = threading.Lock()
_last = (0, 0)


def new_id() -> str:
    """Return an id that sorts by time, as hex: 48 bits of milliseconds, 16 that count within one, 64 of chance."""
    global _last
    with _lock:
        now = max(int(time.time() * 1000), _last[0])
        _last = (now, _last[1] + 1 if now == _last[0] else 0)
        if _last[1] >= 1 << 16:
            _last = (now + 1, 0)
        at, nth = _last
    return f"{at:012x}{nth:04x}{secrets.token_hex(8)}"


# Made once: `json.dumps` makes an encoder a call.
_encode_strict = json.JSONEncoder(ensure_ascii=False, sort_keys=True, allow_nan=False, default=str).encode


def as_json(value: Any) -> str:
    """Return a value as JSON that every reader takes: a number that is none becomes null."""
    try:
        return _encode_strict(value)
    except ValueError:
        loose = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
        return json.dumps(json.loads(loose, parse_constant=lambda _: None), ensure_ascii=False)


class BulkInsert:
    """Adds rows to a table by a statement that is compiled once: the shortest way through SQLAlchemy to the driver."""

    def __init__(self, table: Table, engine: Engine) -> None:
        compiled = insert(table).compile(dialect=engine.dialect)
        self._sql = str(compiled)
        # None: the driver takes its values by name.
        self._parameter_order = compiled.positiontup

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, each a value for every column; none is fine."""
        if not rows:
            return
        places = self._parameter_order
        values = [dict(row) if places is None else tuple([row[name] for name in places]) for row in rows]
        connection.exec_driver_sql(self._sql, values)


class RecordEncoder:
    """Makes rows. Used by whoever writes, one at a time, and for reading inputs back."""

    def __init__(self, settings: Mapping[str, bytes], inputs: str | None) -> None:
        self.settings = settings
        self.salt = settings["salt"]
        master = master_key()
        self.input_mode = inputs or ("encrypted" if master else "hash")
        if self.input_mode == "encrypted" and master is None:
            fix = f"Set {MASTER_KEY_VARIABLE} (`rung keys master` prints a new one), or write `serve: {{inputs: hash}}`."
            raise RungError("inputs are to be encrypted, and there is no master key", "serve.inputs", fix)
        self.cipher = Cipher(master) if master else None
        self._keys: dict[str, bytes | None] = {}
        # The last day and how what is about nobody on it stands in the journal.
        self._day = (0, "")

    def clear_keys(self) -> None:
        """Forget the keys in memory: a transaction that made some may not have come to its end."""
        self._keys.clear()

    def subject_id(self, subject: str) -> str:
        """Return how a subject stands in the journal."""
        return keyed_hash(self.salt, b"subject:" + subject.encode("utf-8", "surrogatepass"))

    def encode(self, connection: Connection, served: PredictionRecord) -> dict[str, Any]:
        """Return the row of an answer; the first one of a subject adds its key."""
        row = vars(served) | {"output": as_json(served.output)}
        row["probability"] = served.output.get("probability")
        text = as_json(served.input).encode("utf-8", "surrogatepass")
        identity = row.pop("identity")
        hashed = text if identity is None else as_json(identity).encode("utf-8", "surrogatepass")
        row |= {"input": None, "input_kept": self.input_mode, "input_hash": keyed_hash(self.salt, hashed)}
        if served.subject is None and self.input_mode != "encrypted":
            row["subject"] = None
        else:
            # What is about nobody is encrypted too, with a key a day, so that it can expire.
            subject = self.subject_id(served.subject) if served.subject else self._day_subject(served.at)
            key = self._subject_key(connection, subject)
            row["subject"] = subject
            if key is None:
                # Erased once, erased for good: nothing of this subject is written again.
                return row | {"subject": None, "input_kept": "none", "input_hash": None}
            if self.input_mode == "encrypted" and self.cipher:
                row["input"] = self.cipher.encrypt(key, text, served.id)
        if self.input_mode == "plain":
            row["input"] = text
        return row

    def _day_subject(self, at: float) -> str:
        day = int(at // 86_400)
        if day != self._day[0]:
            self._day = (day, self.subject_id("day:" + time.strftime(_DAY_FORMAT, time.gmtime(at))))
        return self._day[1]

    def input_of(self, connection: Connection, row: Any) -> Any:
        """Return a row's input; None where it is not kept or was erased. Raises RungError without the master key."""
        if row.input is None:
            return None
        if row.input_kept == "plain":
            return json.loads(row.input)
        if self.cipher is None:
            raise RungError("the input is encrypted", "journal", f"Set {MASTER_KEY_VARIABLE}.")
        wrapped = connection.scalar(select(SUBJECTS.c.wrapped_key).where(SUBJECTS.c.id == row.subject))
        if wrapped is None:
            return None
        return json.loads(self.cipher.decrypt(self.cipher.unwrap(wrapped, row.subject), row.input, row.id))

    def _subject_key(self, connection: Connection, subject: str) -> bytes | None:
        """Return a subject's key, made where there is none; b"" where nothing is encrypted, None for one erased."""
        if subject in self._keys:
            return self._keys[subject]
        if len(self._keys) >= _MAX_CACHED_KEYS:
            self._keys.clear()
        known = connection.execute(select(SUBJECTS).where(SUBJECTS.c.id == subject)).first()
        key: bytes | None
        if known is not None and known.erased_at is not None:
            key = None
        elif known is not None and known.wrapped_key and self.cipher:
            key = self.cipher.unwrap(known.wrapped_key, subject)
        elif self.cipher:
            key, wrapped = self.cipher.new_key(subject)
            if known is None:
                connection.execute(
                    insert(SUBJECTS).values(id=subject, wrapped_key=wrapped, made_at=time.time())
                )
            else:
                connection.execute(
                    SUBJECTS.update().where(SUBJECTS.c.id == subject).values(wrapped_key=wrapped)
                )
        else:
            key = b""
            if known is None:
                connection.execute(insert(SUBJECTS).values(id=subject, made_at=time.time()))
        self._keys[subject] = key
        return key
