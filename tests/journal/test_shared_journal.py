"""A journal on PostgreSQL that several servers write to: records, order, erasure, keys, champions and limits."""

import json
import threading
import time

import pytest
from sqlalchemy import make_url, text

from postgresql_cluster import Cluster
from rung.core.errors import RungError
from rung.journal import data_subjects, postgres
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.journal.reader import JournalReader
from rung.journal.records import FeedbackRecord, PredictionRecord, new_id
from rung.journal.schema import METADATA
from rung.journal.shared_tables import SHARED
from rung.journal.writer import Journal, JournalError
from rung.serving.bundle_source import read_champion, set_champion
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.shared_limit import SharedRateLimit
from rung.serving.promotion import append_change, history, service_lock
from rung.serving.shared_state import SharedFolder
from waiting import wait_until

SECRET = "Ann of 12 Elm Street wants a refund 退款"


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("pg8000", reason="pg8000 is missing: pip install 'rung[postgres]'")
    made = Cluster(listens=True)
    made.start()
    yield made
    made.stop()
    made.remove()


@pytest.fixture
def shared(cluster, monkeypatch, tmp_path):
    monkeypatch.setenv(postgres.VARIABLE, cluster.url)
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    yield [tmp_path / "one", tmp_path / "other"]
    engine = postgres.open_shared(postgres.shared_url())
    with engine.begin() as connection:
        METADATA.drop_all(connection)
        SHARED.drop_all(connection)
        connection.execute(text("DROP FUNCTION IF EXISTS feedback_only_added"))
    engine.dispose()


def served(subject=None, words=SECRET):
    return PredictionRecord(
        new_id(), time.time(), "r", "desk", "v1", "tfidf_linear", "shop", subject, {"text": words},
        {"label": "business", "probability": 0.9}, 1.5, 1e-7,
    )  # fmt: skip


def test_two_servers_write_one_journal(shared):
    journals = [Journal(folder, "encrypted") for folder in shared]
    made = []

    def write(journal, own):
        for _ in range(30):
            record = served("ann")
            journal.write(record)
            said = FeedbackRecord(new_id(), time.time(), record.id, '"tech"', "user", own)
            journal.write(said)
            made.append((record.id, said.id))

    threads = [threading.Thread(target=write, args=(j, str(i))) for i, j in enumerate(journals * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with JournalReader.from_folder(shared[0]) as reader:
        rows = [row for portion in reader.predictions("desk") for row in portion]
        said = reader.feedback("desk")
    assert {row.id for row in rows} == {record for record, _ in made} and len(rows) == 120
    assert {item.id for item in said} == {one for _, one in made}
    assert all(row.input == {"text": SECRET} for row in rows)
    numbers = [item.number for item in said]
    assert numbers == sorted(set(numbers))
    # Erased by one, the other has forgotten the key before its next record.
    assert data_subjects.erase_subject(journals[0], "ann", "admin")["erased_predictions"] == 120
    journals[1].write(served("ann"))
    assert data_subjects.export_subject(journals[1], "ann")["predictions"] == []
    for journal in journals:
        journal.close()


def test_many_records_at_once(shared):
    journal = Journal(shared[0], "plain")
    journal.write(*(served(words=f"row {i}") for i in range(2500)))
    assert journal.read(lambda c: c.scalar(text("select count(*) from predictions"))) == 2500
    journal.close()


def test_one_bad_record_fails_alone(shared):
    journal = Journal(shared[0], "plain")
    outcome = {}
    stray = FeedbackRecord(new_id(), time.time(), "0" * 32, '"tech"', "user", "shop")
    good = served()
    done = threading.Barrier(1)
    journal.submit_many(
        [
            ([good], lambda error: outcome.update(good=error)),
            ([stray], lambda error: outcome.update(bad=error)),
        ]
    )
    assert done.n_waiting == 0
    wait_until(lambda: len(outcome) == 2, "both are answered")
    assert outcome["good"] is None and isinstance(outcome["bad"], JournalError)
    journal.close()


def test_a_database_that_stops_is_said_and_found_again(shared, cluster):
    journal = Journal(shared[0], "plain")
    journal.write(served())
    cluster.stop("immediate")
    try:
        with pytest.raises(JournalError, match="cannot be reached"):
            journal.write(served())
        assert "cannot be reached" in journal.probe()
    finally:
        cluster.start()
    assert journal.probe() == ""
    journal.write(served())
    assert journal.read(lambda c: c.scalar(text("select count(*) from predictions"))) == 2
    journal.close()


@pytest.mark.parametrize(
    "wrong",
    [
        "sqlite:///x.db",
        "postgresql://h",
        "mysql://a@b/c",
        "no address",
        "postgresql://u:secret@h/d?sslmode=maybe",
    ],
)
def test_an_address_that_is_none(monkeypatch, wrong):
    monkeypatch.setenv(postgres.VARIABLE, wrong)
    with pytest.raises(RungError) as caught:
        postgres.shared_url()
    assert caught.value.where == postgres.VARIABLE and "secret" not in str(caught.value)


def test_no_database_there(monkeypatch, tmp_path):
    monkeypatch.setenv(postgres.VARIABLE, "postgresql://u:secret@127.0.0.1:1/d")
    with pytest.raises(JournalError, match="cannot be reached") as caught:
        Journal(tmp_path)
    assert "secret" not in str(caught.value) + caught.value.where


def test_keys_and_champions_are_those_of_all(shared):
    one, other = (SharedFolder(folder) for folder in shared)
    key, token = KeyStore(shared[0]).create("shop", "predict")
    other.refresh()
    assert KeyStore(shared[1]).find(token).id == key.id
    with service_lock(shared[1]):
        append_change(shared[1], "desk", "promote", "ann", "better", bundle="/b", version="2")
        set_champion(shared[1], "desk", shared[0] / "bundle")
    KeyStore(shared[1]).revoke("shop")
    stop = threading.Event()
    follower = threading.Thread(target=one.follow, args=(stop,))
    follower.start()
    wait_until(lambda: read_champion(shared[0], "desk") is not None, "it follows")
    wait_until(lambda: KeyStore(shared[0]).find(token) is None, "revoked everywhere")
    stop.set()
    follower.join()
    assert [change.who for change in history(shared[0])] == ["ann"]
    assert oct((shared[0] / "keys.json").stat().st_mode & 0o777) == "0o600"
    one.close(), other.close()


def test_what_the_database_lacks_is_taken_from_the_folder(shared, monkeypatch, cluster):
    monkeypatch.delenv(postgres.VARIABLE)
    _, token = KeyStore(shared[0]).create("old", "admin")
    monkeypatch.setenv(postgres.VARIABLE, cluster.url)
    KeyStore(shared[0]).create("new", "predict")
    assert {key.name for key in KeyStore(shared[1]).all()} == {"old", "new"}
    assert KeyStore(shared[1]).find(token).name == "old"


def test_two_that_change_keys_at_once_lose_none(shared):
    def make(folder, name):
        KeyStore(folder).create(name, "predict")

    names = [f"k{i}" for i in range(8)]
    threads = [threading.Thread(target=make, args=(shared[i % 2], name)) for i, name in enumerate(names)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for folder in shared:
        assert {key.name for key in KeyStore(folder).all()} == set(names)


def test_a_limit_is_shared(shared):
    folder = SharedFolder(shared[0])
    with folder.edit():
        pass
    limits = [SharedRateLimit(folder.engine) for _ in range(2)]
    begun = time.monotonic()
    let_through = 0
    for i in range(400):
        limit = limits[i % 2]
        wait = limit.acquire("key", 600)
        wait = limit.lease("key", 600) if wait is None else wait
        let_through += not wait
    # A bucket of 60, and 10 a second.
    most = 60 + 10 * (time.monotonic() - begun)
    assert 60 - 2 * 7 <= let_through <= most
    assert wait > 0
    folder.close()


def test_without_the_database_each_server_has_the_limit():
    limit = SharedRateLimit(postgres.open_shared(make_url("postgresql://u@127.0.0.1:1/d")))
    waits = [limit.lease("key", 60) for _ in range(8)]
    assert waits[:6] == [0.0] * 6 and waits[-1] > 0


def test_errors_are_json_that_names_no_password(monkeypatch, tmp_path):
    monkeypatch.setenv(postgres.VARIABLE, "postgresql://u:secret@127.0.0.1:1/d")
    with pytest.raises(RungError) as caught:
        KeyStore(tmp_path).create("shop", "predict")
    assert "secret" not in json.dumps([caught.value.problem, caught.value.where, caught.value.fix])
