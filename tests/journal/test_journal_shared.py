"""A journal beside other servers, wrong clocks, wrong keys, deleted files and exhausted systems: it says so, and keeps what it promised."""

import base64
import errno
import os
import shutil
import time

import pytest
from sqlalchemy import text

from rung.core.errors import RungError
from rung.journal import data_subjects
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.journal.records import PredictionRecord, new_id
from rung.journal.writer import Journal, JournalError
from waiting import wait_until

SECRET = "Ann of 12 Elm Street"
DAY = 86_400.0


def served(subject=None, at=None):
    return PredictionRecord(
        new_id(), at or time.time(), "r", "desk", "v1", "m", "shop", subject, {"text": SECRET}, {"label": "a"}, 1.0, 0.0
    )  # fmt: skip


def kept(journal):
    return journal.read(lambda c: c.scalar(text("select count(*) from predictions where input is not null")))


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Open journals of one folder; all are closed at the end."""
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    made = []

    def open_(inputs=None, folder="service"):
        made.append(Journal(tmp_path / folder, inputs))
        return made[-1]

    yield open_
    for journal in made:
        journal.close()


def test_erasing_at_one_server_reaches_the_other(opened):
    first, second = opened(), opened()
    for journal in (first, second):
        journal.write(served("ann"), served("bob"))
    data_subjects.erase_subject(first, "ann", "admin")
    second.write(served("ann"), served("bob"))
    assert kept(first) == 3, "three of Bob, none of Ann"
    tombstones = first.read(
        lambda c: c.scalar(text("select count(*) from subjects where erased_at is not null"))
    )
    assert tombstones == 1 and second.encoder.subject_id("ann") not in {
        row.subject for row in first.read(lambda c: c.execute(text("select subject from predictions")).all())
    }


def test_keys_that_expired_at_one_server_are_made_anew_at_the_other(opened):
    first, second = opened(), opened()
    second.write(served("ann", time.time() - 200 * DAY))
    first.execute(lambda c, _: c.execute(text("update subjects set made_at = made_at - 200 * 86400")))
    assert data_subjects.expire_inputs(first) == 1
    assert first.read(lambda c: c.scalar(text("select count(*) from subjects"))) == 0
    record = served("ann")
    second.write(record)
    assert data_subjects.find_prediction(first, record.id)["input"] == {"text": SECRET}


@pytest.mark.parametrize("inputs", ["encrypted", "plain"])
def test_expiry_goes_on_after_a_clock_that_was_ahead(opened, inputs):
    journal, now = opened(inputs), time.time()
    ahead = served(at=now + 3_650 * DAY)
    journal.write(served(at=now - 200 * DAY), ahead)
    assert data_subjects.expire_inputs(journal, now + 3_600 * DAY) == 1  # As it runs under the wrong clock.
    journal.write(served(at=now - 91 * DAY), served(at=now))
    assert data_subjects.expire_inputs(journal, now) == 1 and kept(journal) == 2
    assert data_subjects.expire_inputs(journal, now + 91 * DAY) == 2, "what bore a time to come expires too"
    assert kept(journal) == 0


@pytest.mark.parametrize("gone", ["journal.db", "journal.db-wal", "replaced", "folder"])
def test_nothing_is_acknowledged_into_a_deleted_file(opened, tmp_path, gone):
    journal = opened("plain")
    journal.write(served())
    if gone == "folder":
        shutil.move(tmp_path / "service", tmp_path / "elsewhere")
    elif gone == "replaced":
        shutil.copy(journal.path, tmp_path / "copy")
        (tmp_path / "copy").replace(journal.path)
    else:
        (journal.path.parent / gone).unlink()
    assert "deleted or replaced" in journal.probe(), "it is noticed before the next request"
    with pytest.raises(JournalError, match="deleted or replaced"):
        journal.write(served())
    assert "deleted or replaced" in journal.probe()


def test_a_server_that_lost_its_journal_is_not_ready(tmp_path, desk_client):
    client, journal = desk_client
    assert client.get("/readyz").status_code == 200
    journal.path.unlink()
    assert client.get("/readyz").status_code == 503
    reply = client.post("/v1/models/desk/predict", json={"inputs": {"text": "a goal"}})
    assert reply.status_code == 503 and "deleted" in reply.json()["problem"]


@pytest.fixture
def desk_client(built, tmp_path):
    from fastapi.testclient import TestClient

    import rung
    from rung.serving.http.app import create_app
    from rung.serving.service import Service

    journal = Journal(tmp_path, "plain")
    with TestClient(create_app([rung.load(built.bundle)], service=Service(journal=journal))) as client:
        yield client, journal


def test_out_of_files_is_said_and_the_sync_goes_on(opened, monkeypatch):
    journal, true_open = opened("plain"), os.open

    def refused(path, *args, **kwargs):
        if str(path).endswith("-wal"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return true_open(path, *args, **kwargs)

    monkeypatch.setattr("rung.journal.sync._RETRY_SECONDS", 0.02)
    monkeypatch.setattr("rung.journal.sync.os.open", refused)
    journal.write(served())
    wait_until(lambda: "Too many open files" in journal.probe(), "it is said")
    monkeypatch.undo()
    wait_until(lambda: journal.probe() == "", "it goes on by itself")


def test_a_sync_thread_that_ended_is_not_ready(opened, monkeypatch):
    journal = opened("plain")
    monkeypatch.setattr(journal._storage._sync, "_checkpoint", lambda: 1 / 0)
    monkeypatch.setattr("rung.journal.sync._CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    journal.write(served())
    wait_until(lambda: "has ended" in journal.probe(), "it is said")


def test_another_master_key_does_not_open_it(opened, tmp_path, monkeypatch):
    opened().write(served("ann"))
    monkeypatch.setenv(MASTER_KEY_VARIABLE, right := new_master_key())
    with pytest.raises(RungError, match="another master key"):
        Journal(tmp_path / "service")
    old = opened(folder="old")
    old.write(served("ann"))
    old.execute(lambda c, _: c.execute(text("delete from settings where name = 'master_key_check'")))
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    with pytest.raises(RungError, match="master key"):
        Journal(tmp_path / "old")
    monkeypatch.setenv(MASTER_KEY_VARIABLE, right)
    opened(folder="old").write(served("ann"))
    held = old.read(lambda c: c.scalar(text("select value from settings where name = 'master_key_check'")))
    assert base64.urlsafe_b64decode(right) not in held


def test_only_the_owner_reads_its_files(tmp_path):
    tmp_path.chmod(0o755)
    before = os.umask(0o022)
    try:
        journal = Journal(tmp_path, "plain")
        journal.write(served())
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("journal.db*")}
        assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}
        journal.path.with_name("journal.db-wal").chmod(0o644)
        again = Journal(tmp_path, "plain")
        assert journal.path.with_name("journal.db-wal").stat().st_mode & 0o777 == 0o600
        again.close()
        journal.close()
    finally:
        os.umask(before)


def test_a_subject_named_like_a_day_is_somebody(opened):
    journal, now = opened(), time.time()
    name = "day:" + time.strftime("%Y-%m-%d", time.gmtime(now))
    anonymous = served(at=now)
    journal.write(anonymous, served(name, now))
    assert len(data_subjects.export_subject(journal, name)["predictions"]) == 1
    assert data_subjects.erase_subject(journal, name, "admin")["erased_predictions"] == 1
    assert data_subjects.find_prediction(journal, anonymous.id)["input"] == {"text": SECRET}
    later = served(at=now)
    journal.write(later)
    assert data_subjects.find_prediction(journal, later.id)["input"] == {"text": SECRET}
