"""The journal's tables, in SQLAlchemy's words, so that SQLite today and PostgreSQL later are one schema.

predictions: one row an answer. feedback: what someone said of one, only ever added. subjects: a key for each person
whose inputs are here; erased, the key goes and the row stays as the tombstone. shadows: what a challenger answered beside.
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

FORMAT = 1
# Feedback that is no label but a word of a reviewer's about one: a JSON object with this key. No label is an object.
ACTION_KEY = "rung"
METADATA = MetaData()

SETTINGS = Table(
    "settings", METADATA, Column("name", String(32), primary_key=True), Column("value", LargeBinary)
)

SUBJECTS = Table(
    "subjects",
    METADATA,
    # Keyed hash of the subject's name: who it is stands nowhere.
    Column("id", String(32), primary_key=True),
    Column("wrapped_key", LargeBinary),
    Column("made_at", Float, nullable=False),
    Column("erased_at", Float),
    Column("erased_by", String(64)),
    Column("erased_predictions", Integer),
)

PREDICTIONS = Table(
    "predictions",
    METADATA,
    # Begins with the time in milliseconds: ids sort by time, and new rows go to the end of the tree.
    Column("id", String(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("model", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("answered_by", String(64), nullable=False),
    Column("caller", String(64), nullable=False),
    Column("subject", String(32), ForeignKey("subjects.id")),
    # JSON: plain, or encrypted with the subject's key; NULL where only the hash is kept, or nothing any more.
    Column("input", LargeBinary),
    Column("input_kept", String(9), nullable=False),
    Column("input_hash", String(32)),
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
    Column("id", String(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("prediction", String(32), ForeignKey("predictions.id"), nullable=False),
    # JSON: what would have been right.
    Column("answer", Text, nullable=False),
    Column("source", String(16), nullable=False),
    Column("author", String(64), nullable=False),
    Index("feedback_by_prediction", "prediction"),
    Index("feedback_by_time", "at"),
)

# What a challenger in shadow answered to the same request: see `serve.shadow`.
SHADOWS = Table(
    "shadows",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("at", Float, nullable=False),
    Column("prediction", String(32), ForeignKey("predictions.id"), nullable=False),
    Column("version", String(64), nullable=False),
    # JSON, as in predictions; NULL where it did not answer.
    Column("output", Text),
    Column("error", String(16), nullable=False),
    # Processor time of the row.
    Column("compute_ms", Float, nullable=False),
    Column("price_usd", Float, nullable=False),
    # Requests that were skipped since the one before: too many were waiting.
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
for _sql in (_FUNCTION, _STATEMENT_TRIGGER):
    _made: DDL = DDL(_sql)  # type: ignore[no-untyped-call]
    event.listen(FEEDBACK, "after_create", _made.execute_if(dialect="postgresql"))
