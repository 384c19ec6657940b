"""Convert predictions, feedback and shadow answers to rows of the journal, and stored inputs back to values."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select

from rung.core.errors import RungError
from rung.journal.database_files import driver_connection
from rung.journal.derived import load_input, with_derived
from rung.journal.encryption import MASTER_KEY_VARIABLE, Cipher, keyed_hash, master_key
from rung.journal.schema import KEYS_CHANGED, SETTINGS, SUBJECTS

# Keys of subjects in memory. When there are more, the cache is emptied.
_MAX_CACHED_KEYS = 10_000
# PostgreSQL takes 65,535 values in a statement.
_ROWS_PER_STATEMENT = 1_000
_DAY_FORMAT = "%Y-%m-%d"


@dataclass(frozen=True)
class PredictionRecord:
    """One served row.

    subject: the person the input is about, as the caller names them, or None. input: as it is stored, with
    media by reference. identity: what the input's hash is computed from, None for the whole input. derived: parts
    of the answer that derive from the input; they are stored with it, and not at all where it is not stored.
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
    derived: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class FeedbackRecord:
    """Feedback on a prediction. answer: JSON of the correct answer. author: the name of an API key."""

    id: str
    at: float
    prediction: str
    answer: str
    source: str
    author: str


@dataclass(frozen=True)
class ShadowRecord:
    """The answer of a shadow challenger to a logged row.

    output: JSON, or None where `error` says why there is none.
    """

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
    """Return an id that sorts by time, as 32 hex digits.

    48 bits of milliseconds, 16 bits that count ids within one millisecond, 64 random bits.
    """
    global _last
    with _lock:
        now = max(int(time.time() * 1000), _last[0])
        _last = (now, _last[1] + 1 if now == _last[0] else 0)
        if _last[1] >= 1 << 16:
            _last = (now + 1, 0)
        at, nth = _last
    return f"{at:012x}{nth:04x}{secrets.token_hex(8)}"


# Made once: `json.dumps` with options makes a new encoder at every call.
_encode_strict = json.JSONEncoder(ensure_ascii=False, sort_keys=True, allow_nan=False, default=str).encode


_encode_in_order = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=str).encode


def as_json(value: Any) -> str:
    """Return a value as strict JSON with sorted keys: NaN and infinities become null."""
    return _as_strict_json(value, _encode_strict)


def output_as_json(output: Mapping[str, Any]) -> str:
    """Return an answer as strict JSON in the order of its fields: the first one is the task's own answer."""
    return _as_strict_json(output, _encode_in_order)


def _as_strict_json(value: Any, encode: Callable[[Any], str]) -> str:
    try:
        return encode(value)
    except ValueError:
        loose = json.dumps(value, ensure_ascii=False, default=str)
        return encode(json.loads(loose, parse_constant=lambda _: None))


class BulkInsert:
    """Inserts rows with a statement that is compiled once, which is faster than
    `connection.execute(insert(...))`.
    """

    def __init__(self, table: Table, engine: Engine) -> None:
        compiled = insert(table).compile(dialect=engine.dialect)
        self._sql = str(compiled)
        self._is_sqlite = engine.dialect.name == "sqlite"
        # None: the driver takes values by name.
        self._parameter_order = compiled.positiontup

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; each has a value for every column. No rows is allowed."""
        if not rows:
            return
        places = self._parameter_order
        if places is None:
            connection.exec_driver_sql(self._sql, [dict(row) for row in rows])
            return
        values = [tuple([row[name] for name in places]) for row in rows]
        if self._is_sqlite:
            driver_connection(connection).executemany(self._sql, values)
            return
        # One statement for many rows: drivers of PostgreSQL send each row of `executemany` by itself.
        head, _, row = self._sql.partition(" VALUES ")
        for begin in range(0, len(values), _ROWS_PER_STATEMENT):
            some = values[begin : begin + _ROWS_PER_STATEMENT]
            sql = f"{head} VALUES {', '.join([row] * len(some))}"
            connection.exec_driver_sql(sql, tuple(chain.from_iterable(some)))


class RecordEncoder:
    """Converts predictions to rows. Used by one thread at a time: the one that writes.

    settings: those of the journal. inputs: how inputs are stored (encrypted, hash or plain); None: encrypted
    when there is a master key, else hash. Raises RungError when encryption is requested without a master key.
    """

    def __init__(self, settings: Mapping[str, bytes], inputs: str | None) -> None:
        self.settings = settings
        self.salt = settings["salt"]
        master = master_key()
        self.input_mode = inputs or ("encrypted" if master else "hash")
        if self.input_mode == "encrypted" and master is None:
            fix = f"Set {MASTER_KEY_VARIABLE} (`rung keys master` prints a new one), or write `serve: {{inputs: hash}}`."
            raise RungError("inputs are to be encrypted, but there is no master key", "serve.inputs", fix)
        self.cipher = Cipher(master) if master else None
        self._keys: dict[str, bytes | None] = {}
        self._data_version: int | None = None
        self._keys_changed: bytes | None = None
        # The latest day, and the subject id of its inputs that are about nobody.
        self._day = (0, "")

    def clear_keys(self) -> None:
        """Empty the cache of keys. Needed after a failed transaction, whose new keys were not stored."""
        self._keys.clear()

    def refresh_keys(self, connection: Connection) -> None:
        """Empty the cache of keys if another process has erased or deleted keys. Call it in a writing transaction."""
        if connection.dialect.name == "sqlite":
            # Changes with each commit of another connection, and costs less than a query.
            version = driver_connection(connection).execute("PRAGMA data_version").fetchone()[0]
            if version == self._data_version:
                return
            self._data_version = version
        changed = connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.name == KEYS_CHANGED))
        if changed != self._keys_changed:
            self._keys_changed = changed
            self._keys.clear()

    def subject_id(self, subject: str) -> str:
        """Return the id of a subject in the journal: a keyed hash of its name."""
        return keyed_hash(self.salt, b"subject:" + subject.encode("utf-8", "surrogatepass"))

    def encode(self, connection: Connection, served: PredictionRecord) -> dict[str, Any]:
        """Return the row of a prediction. The first one of a subject also stores a new key for it."""
        row = vars(served) | {"output": output_as_json(served.output)}
        row["probability"] = served.output.get("probability")
        text = as_json(served.input).encode("utf-8", "surrogatepass")
        identity = row.pop("identity")
        hashed = text if identity is None else as_json(identity).encode("utf-8", "surrogatepass")
        derived = row.pop("derived")
        if derived:
            text = with_derived(text, as_json(derived).encode("utf-8", "surrogatepass"))
        row |= {"input": None, "input_kept": self.input_mode, "input_hash": keyed_hash(self.salt, hashed)}
        if served.subject is None and self.input_mode != "encrypted":
            row["subject"] = None
        else:
            # Inputs about nobody are encrypted too, with one key per day, so that they can expire.
            subject = self.subject_id(served.subject) if served.subject else self._day_subject(served.at)
            key = self._subject_key(connection, subject)
            row["subject"] = subject
            if key is None:
                # Erasure is permanent: no input of this subject is stored again.
                return row | {"subject": None, "input_kept": "none", "input_hash": None}
            if self.input_mode == "encrypted" and self.cipher:
                row["input"] = self.cipher.encrypt(key, text, served.id)
        if self.input_mode == "plain":
            row["input"] = text
        return row

    def encode_answer(self, connection: Connection, prediction: Any, record: FeedbackRecord) -> bytes | None:
        """Return an answer in words as it is stored: as the input of its prediction is. None where that is not stored.

        prediction: its subject and input_kept.
        """
        text = record.answer.encode("utf-8", "surrogatepass")
        if prediction.input_kept == "plain":
            return text
        if prediction.input_kept != "encrypted" or prediction.subject is None or self.cipher is None:
            return None
        key = self._subject_key(connection, prediction.subject)
        return self.cipher.encrypt(key, text, record.id) if key else None

    def _day_subject(self, at: float) -> str:
        day = int(at // 86_400)
        if day != self._day[0]:
            self._day = (day, self._subject_of_day(at))
        return self._day[1]

    def _subject_of_day(self, at: float) -> str:
        # Not `subject_id`: a caller may name a subject like a day.
        named = "day:" + time.strftime(_DAY_FORMAT, time.gmtime(at))
        return keyed_hash(self.salt, named.encode())

    def person(self, subject: str | None, at: float) -> str | None:
        """Return the subject of a stored row where it is a person; None where the row is about nobody, whose key is that of a day.

        at: of the row. Any thread may ask.
        """
        return None if subject is None or subject == self._subject_of_day(at) else subject

    def _subject_key(self, connection: Connection, subject: str) -> bytes | None:
        """Return a subject's key, made if there is none.

        b"" without a master key, None for an erased subject.
        """
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


class InputDecoder:
    """Decrypts stored inputs.

    It caches the keys of subjects: use one for a single query, or erased keys would live on.
    """

    def __init__(self, cipher: Cipher | None) -> None:
        """cipher: None where there is no master key."""
        self._cipher = cipher
        self._keys: dict[str, bytes | None] = {}

    def decode(self, connection: Connection, row: Any) -> tuple[Any, str]:
        """Return a row's input and "", or None and the reason: `hash`, `none` (erased or expired) or
        `locked`.
        """
        value, _, reason = self.decode_all(connection, row)
        return value, reason

    def decode_all(self, connection: Connection, row: Any) -> tuple[Any, dict[str, Any], str]:
        """Return what `decode` does, with the row's answer in between: whole where its derived parts are stored."""
        output = json.loads(row.output)
        if row.input is None:
            return None, output, row.input_kept
        stored = row.input
        if row.input_kept != "plain":
            if self._cipher is None:
                return None, output, "locked"
            key = self._subject_key(connection, row.subject)
            if key is None:
                return None, output, "none"
            stored = self._cipher.decrypt(key, row.input, row.id)
        value, derived = load_input(stored)
        return value, output | derived, ""

    def require(self, connection: Connection, row: Any) -> Any:
        """Return a row's input, None where it is not stored any more.

        Raises RungError without the master key.
        """
        return self.require_all(connection, row)[0]

    def require_all(self, connection: Connection, row: Any) -> tuple[Any, dict[str, Any]]:
        """Return a row's input as `require` does, and its answer: whole where its derived parts are stored."""
        value, output, reason = self.decode_all(connection, row)
        if reason == "locked":
            raise RungError("the input is encrypted", "journal", f"Set {MASTER_KEY_VARIABLE}.")
        return value, output

    def _subject_key(self, connection: Connection, subject: str) -> bytes | None:
        """Return a subject's key; None for an erased subject."""
        if self._cipher is None:
            return None
        if subject not in self._keys:
            if len(self._keys) >= _MAX_CACHED_KEYS:
                self._keys.clear()
            wrapped = connection.scalar(select(SUBJECTS.c.wrapped_key).where(SUBJECTS.c.id == subject))
            self._keys[subject] = self._cipher.unwrap(wrapped, subject) if wrapped else None
        return self._keys[subject]
