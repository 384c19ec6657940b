"""The journal: what was acknowledged is there; a full disk or a held database loses nothing; people can be erased."""

import json
import resource
import sqlite3
import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from rung.core.errors import RungError
from rung.journal import data_subjects
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.journal.records import FeedbackRecord, PredictionRecord, new_id
from rung.journal.writer import Journal, JournalError
from waiting import LONG, wait_until

SECRET = "Ann of 12 Elm Street wants a refund 退款"


def served(subject=None, at=None, words=SECRET):
    return PredictionRecord(
        new_id(), at or time.time(), "r", "desk", "v1", "tfidf_linear", "shop", subject, {"text": words},
        {"label": "business", "probability": 0.9}, 1.5, 1e-7,
    )  # fmt: skip


@pytest.fixture
def encrypted(tmp_path, monkeypatch):
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    journal = Journal(tmp_path / "service")
    yield journal
    journal.close()


@pytest.fixture
def plain(tmp_path):
    journal = Journal(tmp_path / "service", "plain")
    yield journal
    journal.close()


def count(journal, table):
    return journal.read(lambda c: c.scalar(text(f"select count(*) from {table}")))


def stored(journal):
    """All bytes of the journal's files."""
    folder = journal.path.parent
    return b"".join(path.read_bytes() for path in sorted(folder.glob("journal.db*")))


def test_a_prediction_and_its_feedback_come_back(plain):
    record = served("ann")
    plain.write(record)
    plain.write(
        FeedbackRecord(new_id(), time.time(), record.id, '"tech"', "user", "shop"),
        FeedbackRecord(new_id(), time.time(), record.id, '"sports"', "review", "rita"),
    )
    found = data_subjects.find_prediction(plain, record.id)
    assert found["input"] == {"text": SECRET} and found["output"]["label"] == "business"
    assert [item["answer"] for item in found["feedback"]] == ["tech", "sports"]
    assert found["price_usd"] == 1e-7 and found["caller"] == "shop"
    assert data_subjects.find_prediction(plain, "0" * 32) is None


def test_feedback_is_only_ever_added(plain):
    record = served()
    plain.write(record)
    plain.write(FeedbackRecord(new_id(), time.time(), record.id, '"tech"', "user", "shop"))
    for statement in ("update feedback set answer = '1'", "delete from feedback"):
        with (
            sqlite3.connect(plain.path) as raw,
            pytest.raises(sqlite3.IntegrityError, match="only ever added"),
        ):
            raw.execute(statement)
        raw.close()
    with pytest.raises(RungError):
        plain.write(FeedbackRecord(new_id(), time.time(), "0" * 32, '"tech"', "user", "shop"))
    assert count(plain, "feedback") == 1


def test_one_bad_record_does_not_take_its_neighbours_along(plain):
    good, bad = [served() for _ in range(20)], FeedbackRecord(new_id(), 0.0, "0" * 32, '"x"', "user", "a")
    told, go, begun = {}, threading.Event(), threading.Event()
    other = threading.Thread(target=plain.execute, args=(lambda *_: begun.set() or go.wait(LONG),))
    other.start()
    begun.wait(LONG)  # While another writes, what comes waits for one commit.
    for n, record in enumerate([*good[:10], bad, *good[10:]]):
        plain.submit([record], lambda error, n=n: told.__setitem__(n, error))
    assert not told
    go.set()
    other.join(LONG)
    plain.execute(lambda *_: None)
    assert [n for n, error in told.items() if error] == [10] and count(plain, "predictions") == 20


def test_a_held_database_is_said_and_loses_nothing(plain):
    plain.write(served())
    holder = sqlite3.connect(plain.path, isolation_level=None)
    holder.execute("begin immediate")
    with pytest.raises(JournalError, match="another program has locked the journal"):
        plain.write(served())
    assert plain.problem and count(plain, "predictions") == 1
    holder.execute("rollback")
    holder.close()
    assert plain.probe() == "", "it mends itself"
    plain.write(served())
    assert count(plain, "predictions") == 2


def test_a_full_disk_is_said_and_loses_nothing(plain):
    acknowledged = [served(words="a" * 2_000) for _ in range(5)]
    plain.write(*acknowledged)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Files may not grow beyond this: the nearest to a full disk that needs no disk of its own.
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, hard))
    try:
        with pytest.raises(JournalError, match="full or not writable"):
            for _ in range(200):
                record = served(words="b" * 5_000)
                plain.write(record)
                acknowledged.append(record)
        assert "full" in plain.probe()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert plain.probe() == ""
    plain.write(served())
    plain.close()
    again = Journal(plain.path.parent, "plain")
    there = again.read(lambda c: {row.id for row in c.execute(text("select id from predictions"))})
    again.close()
    assert {record.id for record in acknowledged} <= there and len(there) == len(acknowledged) + 1


def test_inputs_are_encrypted_with_a_key_for_each_subject(encrypted):
    one, two, nobody = served("ann"), served("bob"), served()
    encrypted.write(one, two, nobody)
    assert b"Elm Street" not in stored(encrypted) and b"ann" not in stored(encrypted)
    for record in (one, two, nobody):
        assert data_subjects.find_prediction(encrypted, record.id)["input"] == {"text": SECRET}
    assert (
        len(encrypted.read(lambda c: c.execute(text("select distinct input_hash from predictions")).all()))
        == 1
    )
    swap = "update predictions set input = (select input from predictions where id = :one) where id = :two"
    encrypted.execute(lambda c, _: c.execute(text(swap), {"one": one.id, "two": two.id}))
    with pytest.raises(RungError, match="the master key is another one, or the data is damaged"):
        data_subjects.find_prediction(encrypted, two.id)


def test_a_subject_is_exported_and_erased(encrypted):
    mine = [served("ann") for _ in range(3)]
    encrypted.write(*mine, served("bob"))
    encrypted.write(FeedbackRecord(new_id(), time.time(), mine[0].id, '"tech"', "user", "shop"))
    exported = data_subjects.export_subject(encrypted, "ann")
    assert {p["id"] for p in exported["predictions"]} == {r.id for r in mine}
    assert all(p["input"] == {"text": SECRET} for p in exported["predictions"])
    assert [len(p["feedback"]) for p in exported["predictions"] if p["id"] == mine[0].id] == [1]
    assert json.dumps(exported)
    stone = data_subjects.erase_subject(encrypted, "ann", "admin")
    assert stone["erased_predictions"] == 3
    after = data_subjects.export_subject(encrypted, "ann")
    assert after["predictions"] == [] and after["erased_at"] == stone["erased_at"]
    gone = data_subjects.find_prediction(encrypted, mine[0].id)
    assert gone["input"] is None and gone["input_hash"] is None and gone["output"]["label"] == "business"
    assert gone["feedback"], "feedback stays"
    assert len(data_subjects.export_subject(encrypted, "bob")["predictions"]) == 1
    encrypted.write(served("ann"))
    assert data_subjects.export_subject(encrypted, "ann")["predictions"] == [], "erased for good"


def test_erasing_leaves_no_bytes_of_what_was_plain(plain):
    plain.write(served("ann"))
    assert b"Elm Street" in stored(plain)
    data_subjects.erase_subject(plain, "ann", "admin")
    assert b"Elm Street" not in stored(plain)


def test_inputs_expire(encrypted):
    old, new = served("ann", at=time.time() - 91 * 86_400), served("ann")
    encrypted.write(old, served(at=time.time() - 91 * 86_400), new)
    assert data_subjects.expire_inputs(encrypted) == 2 and data_subjects.expire_inputs(encrypted) == 0
    assert data_subjects.find_prediction(encrypted, old.id)["input"] is None
    assert data_subjects.find_prediction(encrypted, new.id)["input"] == {"text": SECRET}
    encrypted.write(served("ann"))


def test_inputs_expire_in_portions(plain, monkeypatch):
    monkeypatch.setattr(data_subjects, "_BATCH_ROWS", 3)
    long_ago = time.time() - 91 * 86_400
    plain.write(*(served(at=long_ago + n // 4) for n in range(20)), served())
    assert data_subjects.expire_inputs(plain) == 20 and data_subjects.expire_inputs(plain) == 0
    kept = plain.read(
        lambda c: c.execute(text("select input_kept, count(*) from predictions group by 1")).all()
    )
    assert dict(map(tuple, kept)) == {"none": 20, "plain": 1}


def test_two_thousand_a_second_from_many_threads(encrypted):
    """Every record is committed before its `done`, whoever wrote it; none twice, none left behind."""
    told, failed = [], []

    def hand_in():
        for _ in range(250):
            record = served("ann")
            encrypted.submit([record], lambda error, id=record.id: (failed if error else told).append(id))

    threads = [threading.Thread(target=hand_in) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    encrypted.execute(lambda *_: None)
    raw = sqlite3.connect(encrypted.path)  # Another program sees them: they are committed.
    there = [row[0] for row in raw.execute("select id from predictions")]
    raw.close()
    assert not failed and sorted(told) == sorted(there) and len(there) == 2_000


def test_the_log_is_brought_into_the_database_beside_the_commits(plain, monkeypatch):
    monkeypatch.setattr("rung.journal.sync._CHECKPOINT_SECONDS", 0.0)
    log = plain.path.with_name("journal.db-wal")
    size = plain.path.stat().st_size
    for _ in range(40):
        plain.write(served(words="a" * 20_000))
        time.sleep(0.005)

    def grown():
        plain.write(served())
        return plain.path.stat().st_size > size + 500_000

    wait_until(grown, "the log in the database")
    plain.remove_erased()
    assert log.stat().st_size == 0


def test_what_is_erased_leaves_the_log_though_others_read(plain, monkeypatch):
    monkeypatch.setattr("rung.journal.storage._TRUNCATE_SECONDS", 0.2)
    plain.write(served("ann"))
    reader = sqlite3.connect(plain.path, isolation_level=None)
    reader.execute("begin")
    reader.execute("select count(*) from predictions").fetchone()
    with pytest.raises(JournalError, match="still in the log"):
        data_subjects.erase_subject(plain, "ann", "admin")
    reader.execute("rollback")
    reader.close()
    data_subjects.erase_subject(plain, "ann", "admin")
    assert b"Elm Street" not in stored(plain)


def test_the_queries_of_a_large_journal_use_its_indexes(plain):
    plain.write(served("ann"))
    questions = {
        "select * from predictions where id = 'a'": "sqlite_autoindex_predictions",
        "select * from predictions where subject = 'a' order by id": "predictions_by_subject",
        "select * from predictions where model = 'a' and at > 1": "predictions_by_model",
        "select id from predictions where at >= 1 and at < 2 and input_kept != 'none' order by at limit 5": "predictions_by_time",
        "select * from feedback where prediction = 'a'": "feedback_by_prediction",
        "select * from feedback f join predictions p on p.id = f.prediction where f.at > 1": "feedback_by_time",
        "delete from subjects where made_at < 1 and not exists (select 1 from predictions p where p.subject = subjects.id)": "predictions_by_subject",
    }
    for question, index in questions.items():
        steps = plain.read(
            lambda c, q=question: [row[3] for row in c.execute(text(f"explain query plan {q}"))]
        )
        assert any(index in step for step in steps), (question, steps)
        assert not [step for step in steps if step.startswith("SCAN p")], (question, steps)


def test_only_a_hash_where_there_is_no_master_key(tmp_path, monkeypatch):
    monkeypatch.delenv(MASTER_KEY_VARIABLE, raising=False)
    with pytest.raises(RungError, match="no master key"):
        Journal(tmp_path / "a", "encrypted")
    journal = Journal(tmp_path / "b")
    record = served("ann")
    journal.write(record)
    found = data_subjects.find_prediction(journal, record.id)
    assert found["input"] is None and len(found["input_hash"]) == 32
    assert b"Elm Street" not in stored(journal)
    journal.close()
    monkeypatch.setenv(MASTER_KEY_VARIABLE, "short")
    with pytest.raises(RungError, match="not 32 bytes"):
        Journal(tmp_path / "c")


def test_what_is_no_journal_or_a_newer_one_is_said(tmp_path):
    (tmp_path / "journal.db").write_bytes(b"not a database, by far" * 100)
    with pytest.raises(JournalError, match="damaged"):
        Journal(tmp_path)
    journal = Journal(tmp_path / "new", "plain")
    journal.execute(lambda c, _: c.execute(text("update settings set value = '99' where name = 'format'")))
    journal.close()
    with pytest.raises(RungError, match="format 99"):
        Journal(tmp_path / "new", "plain")


def test_closing_writes_what_waits(tmp_path):
    journal = Journal(tmp_path, "plain")
    told = []
    for _ in range(500):
        journal.submit([served()], told.append)
    journal.close()
    assert told == [None] * 500
    with pytest.raises(JournalError, match="closed"):
        journal.write(served())


def test_numbers_that_are_none_become_null(plain):
    record = replace(served(), input={"x": float("nan"), "y": [float("inf"), 1.5]})
    plain.write(record)
    assert data_subjects.find_prediction(plain, record.id)["input"] == {"x": None, "y": [None, 1.5]}
