"""The journal's schema on PostgreSQL: it is made there, holds what SQLite holds, and refuses what SQLite refuses.

Over another driver than the product's, so that neither schema nor questions are bound to one. Needs PostgreSQL's programs (Debian:
postgresql) and psycopg; `test_shared_journal.py` runs the journal itself.
"""

import json
import time

import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from postgresql_cluster import Cluster
from rung.core.errors import RungError
from rung.journal import data_subjects
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.journal.records import BulkInsert, FeedbackRecord, PredictionRecord, RecordEncoder, new_id
from rung.journal.schema import FEEDBACK, FORMAT, METADATA, PREDICTIONS, SETTINGS

SECRET = "Ann of 12 Elm Street wants a refund 退款 \ud800"


@pytest.fixture(scope="module")
def database():
    """The address of a database of its own, reached through a socket in its folder; nothing listens on a port."""
    pytest.importorskip("psycopg", reason="psycopg is missing: pip install 'rung[dev]'")
    cluster = Cluster()
    cluster.start()
    try:
        yield f"postgresql+psycopg://journal@/postgres?host={cluster.folder}"
    finally:
        cluster.stop()
        cluster.remove()


class Kept:
    """What `rung.journal.data_subjects` asks of a journal, over any database."""

    def __init__(self, address):
        self.engine = create_engine(address)
        with self.engine.begin() as connection:
            METADATA.create_all(connection)
            made = {"format": str(FORMAT).encode(), "salt": b"s" * 32, "expired_until": b"0"}
            connection.execute(insert(SETTINGS), [{"name": k, "value": v} for k, v in made.items()])
            found = {row.name: row.value for row in connection.execute(select(SETTINGS))}
        assert found == made, "bytes come back as bytes"
        self.encoder, self.keep_days = RecordEncoder(found, "encrypted"), 90

    def read(self, query):
        with self.engine.connect() as connection:
            return query(connection)

    def execute(self, job):
        with self.engine.begin() as connection:
            return job(connection, self.encoder)

    def remove_erased(self):
        """PostgreSQL has no log of SQLite's."""


@pytest.fixture
def kept(database, monkeypatch):
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    journal = Kept(database)
    yield journal
    with journal.engine.begin() as connection:
        METADATA.drop_all(connection)
        connection.execute(text("DROP FUNCTION feedback_only_added"))
    journal.engine.dispose()


def served(subject, at=None):
    return PredictionRecord(
        new_id(), at or time.time(), "r", "desk", "v1", "tfidf_linear", "shop", subject, {"text": SECRET},
        {"label": "business", "probability": 0.9}, 1.5, 1e-7,
    )  # fmt: skip


def test_predictions_feedback_and_people(kept):
    mine, old = served("ann"), served("bob", at=time.time() - 91 * 86_400)
    said = FeedbackRecord(new_id(), time.time(), mine.id, '"tech"', "user", "shop")
    add_predictions, add_feedback = BulkInsert(PREDICTIONS, kept.engine), BulkInsert(FEEDBACK, kept.engine)
    kept.execute(lambda c, encoder: add_predictions(c, [encoder.encode(c, one) for one in (mine, old)]))
    kept.execute(lambda c, encoder: add_feedback(c, [vars(said)]))
    found = data_subjects.find_prediction(kept, mine.id)
    assert found["input"] == {"text": SECRET} and found["at"] == mine.at and found["price_usd"] == 1e-7
    assert [one["answer"] for one in found["feedback"]] == ["tech"]
    assert json.dumps(data_subjects.export_subject(kept, "ann")["predictions"])
    assert (
        data_subjects.expire_inputs(kept) == 1
        and data_subjects.find_prediction(kept, old.id)["input"] is None
    )
    assert data_subjects.erase_subject(kept, "ann", "admin")["erased_predictions"] == 1
    gone = data_subjects.find_prediction(kept, mine.id)
    assert gone["input"] is None and gone["input_hash"] is None and gone["feedback"]
    kept.execute(lambda c, encoder: add_predictions(c, [encoder.encode(c, served("ann"))]))
    assert data_subjects.export_subject(kept, "ann")["predictions"] == [], "erased for good"


@pytest.mark.parametrize("statement", ["update feedback set answer = '1'", "delete from feedback", "truncate feedback"])  # fmt: skip
def test_feedback_is_only_ever_added(kept, statement):
    with pytest.raises(DBAPIError, match="only ever added"):
        kept.execute(lambda c, _: c.execute(text(statement)))


def test_feedback_needs_a_prediction(kept):
    stray = FeedbackRecord(new_id(), time.time(), "0" * 32, '"tech"', "user", "shop")
    with pytest.raises(IntegrityError):
        kept.execute(lambda c, _: BulkInsert(FEEDBACK, kept.engine)(c, [vars(stray)]))


def test_another_master_key_opens_nothing(kept, monkeypatch):
    record = served("ann")
    kept.execute(lambda c, encoder: BulkInsert(PREDICTIONS, kept.engine)(c, [encoder.encode(c, record)]))
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    kept.encoder = RecordEncoder(kept.encoder.settings, "encrypted")
    with pytest.raises(RungError, match="the master key is another one"):
        data_subjects.find_prediction(kept, record.id)
