"""Tables of the journal, defined with SQLAlchemy for SQLite and PostgreSQL.

predictions: one row per served row. feedback: append-only. subjects: one encryption key per person whose
inputs are stored; erasing a person deletes the key, and the row stays as a tombstone. shadows: answers of a
shadow challenger.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    event,
)  # fmt: skip
from sqlalchemy.types import TypeEngine

FORMAT = 1
FILE_NAME = "journal.db"
# Feedback that is an action of a reviewer instead of an answer is a JSON object with this key. No answer is
# an object.
ACTION_KEY = "rung"
# Settings: changes when keys of subjects are erased or deleted; a hash of the master key.
KEYS_CHANGED, MASTER_KEY_CHECK = "keys_changed", "master_key_check"
METADATA = MetaData()


def _words(length: int) -> TypeEngine[str]:
    """Return a type of short texts. SQLite does not hold them to their length; PostgreSQL would refuse the row."""
    return String(length).with_variant(Text(), "postgresql")


SETTINGS = Table(
    "settings", METADATA, Column("name", _words(32), primary_key=True), Column("value", LargeBinary)
)

SUBJECTS = Table(
    "subjects",
    METADATA,
    # Keyed hash of the subject's name; the name itself is not stored.
    Column("id", _words(32), primary_key=True),
    Column("wrapped_key", LargeBinary),
    Column("made_at", Float, nullable=False),
    Column("erased_at", Float),
    Column("erased_by", _words(64)),
    Column("erased_predictions", Integer),
)

PREDICTIONS = Table(
    "predictions",
    METADATA,
    # Begins with the time in milliseconds, so ids sort by time and new rows go to the end of the B-tree.
    Column("id", _words(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("request_id", _words(64), nullable=False),
    Column("model", _words(64), nullable=False),
    Column("version", _words(64), nullable=False),
    Column("answered_by", _words(64), nullable=False),
    Column("caller", _words(64), nullable=False),
    Column("subject", _words(32), ForeignKey("subjects.id")),
    # JSON: plain, or encrypted with the subject's key. NULL where only the hash is stored, or after erasure
    # or expiry.
    Column("input", LargeBinary),
    Column("input_kept", _words(9), nullable=False),
    Column("input_hash", _words(32)),
    Column("output", Text, nullable=False),
    Column("probability", Float),
    Column("latency_ms", Float, nullable=False),
    Column("price_usd", Float, nullable=False),
    Index("predictions_by_model", "model", "at"),
    Index("predictions_by_subject", "subject"),
    Index("predictions_by_time", "at"),
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("id", _words(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("prediction", _words(32), ForeignKey("predictions.id"), nullable=False),
    # JSON: the correct answer.
    Column("answer", Text, nullable=False),
    Column("source", _words(16), nullable=False),
    Column("author", _words(64), nullable=False),
    Index("feedback_by_prediction", "prediction"),
    Index("feedback_by_time", "at"),
)

# Answers in words that were given as feedback: see `journal.feedback_answers`.
FEEDBACK_ANSWERS = Table(
    "feedback_answers",
    METADATA,
    Column("id", _words(32), primary_key=True),
    Column("prediction", _words(32), ForeignKey("predictions.id"), nullable=False),
    # JSON, plain or encrypted as inputs are.
    Column("answer", LargeBinary, nullable=False),
    Index("feedback_answers_by_prediction", "prediction"),
)

# Answers of a shadow challenger to the same requests: see `serving.shadow`.
SHADOWS = Table(
    "shadows",
    METADATA,
    Column("id", _words(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("prediction", _words(32), ForeignKey("predictions.id"), nullable=False),
    Column("version", _words(64), nullable=False),
    # JSON, as in predictions; NULL where the challenger failed.
    Column("output", Text),
    Column("error", _words(16), nullable=False),
    # CPU time of the row.
    Column("compute_ms", Float, nullable=False),
    Column("price_usd", Float, nullable=False),
    # Requests skipped since the previous row because too many were waiting.
    Column("skipped", Integer, nullable=False),
    Index("shadows_by_version", "version", "at"),
    Index("shadows_by_prediction", "prediction"),
)

for _verb in ("UPDATE", "DELETE"):
    _trigger: DDL = DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER feedback_no_{_verb.lower()} BEFORE {_verb} ON feedback "
        "BEGIN SELECT RAISE(ABORT, 'feedback is only ever added'); END"
    )
    event.listen(FEEDBACK, "after_create", _trigger.execute_if(dialect="sqlite"))

_FUNCTION = """
CREATE FUNCTION feedback_only_added() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'feedback is only ever added' USING ERRCODE = 'restrict_violation'; END $$
"""
_STATEMENT_TRIGGER = """
CREATE TRIGGER feedback_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON feedback
FOR EACH STATEMENT EXECUTE FUNCTION feedback_only_added()
"""
# Position in the order of writing, which SQLite gives each row by itself.
_NUMBER = "ALTER TABLE feedback ADD COLUMN rowid BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE"
for _sql in (_NUMBER, _FUNCTION, _STATEMENT_TRIGGER):
    _made: DDL = DDL(_sql)  # type: ignore[no-untyped-call]
    event.listen(FEEDBACK, "after_create", _made.execute_if(dialect="postgresql"))
