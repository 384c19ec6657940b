"""Labels survive: a kill, a second person, a network that broke; nothing is ever changed."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from rung.core.errors import DataError
from rung.data.labels.consensus import CANNOT, digest, last_by, verdicts
from rung.data.labels.store import Entry, LabelStore


def entry(text="a" * 16, label="x", author="Ana", kind="label", **more):
    return Entry(author, kind, text, "rows.csv", 1, label, **more)


WRITER = """
import sys, os
from pathlib import Path
from rung.data.labels.store import Entry, LabelStore
store = LabelStore(Path(sys.argv[1]))
for i in range(100000):
    number = store.add(Entry(sys.argv[2], "label", f"{i:016x}", "rows.csv", i, "x"))[0]
    os.write(1, f"{number}\\n".encode())
"""


def writer(path, author):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), author], stdout=subprocess.PIPE, text=True, env=os.environ
    )


def test_what_was_said_to_be_saved_is_there_after_kill_9(tmp_path):
    path = tmp_path / "labels.sqlite"
    both = [writer(path, name) for name in ("Ana", "Bo")]
    told = [[int(process.stdout.readline()) for _ in range(20)] for process in both]
    for process in both:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with LabelStore(path) as store:
        found = store.entries()
    by_author = {name: [e.id for e in found if e.author == name] for name in ("Ana", "Bo")}
    assert set(told[0]) <= set(by_author["Ana"]) and set(told[1]) <= set(by_author["Bo"])
    assert [e.id for e in found] == list(range(1, len(found) + 1))


def test_many_threads_at_once(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        threads = [
            threading.Thread(target=lambda n=n: [store.add(entry(f"{n:08x}{i:08x}")) for i in range(25)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.entries()) == 100


def test_no_line_is_changed_or_deleted(tmp_path):
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        store.add(entry())
    database = sqlite3.connect(path)
    for sql in ("UPDATE entries SET label = 'y'", "DELETE FROM entries"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            database.execute(sql)
    database.close()


def test_all_or_none(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        with pytest.raises(ValueError):
            store.add(entry(), entry(kind="shout"))
        assert store.entries() == []


def test_the_same_token_is_written_once(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        first = store.add(entry(token="t1"))
        assert store.add(entry(token="t1")) == first and len(store.entries()) == 1
        assert store.entries(first[0]) == []


def test_another_file_is_refused_in_words(tmp_path):
    (tmp_path / "labels.sqlite").write_text("these are not labels, they are words " * 50)
    with pytest.raises(DataError) as caught:
        LabelStore(tmp_path / "labels.sqlite")
    assert "the labels cannot be read or written" in str(caught.value)


def say(*entries):
    return verdicts([Entry(**{**vars(e), "id": number}) for number, e in enumerate(entries, 1)])


def test_a_later_word_counts_and_an_undone_one_does_not():
    text = "a" * 16
    assert say(entry(label="x"), entry(label="y"))[text].answer == "y"
    undone = entry(kind="undo", label=None, of=2)
    assert say(entry(label="x"), entry(label="y"), undone)[text].answer == "x"
    assert text not in say(entry(label="x"), entry(kind="undo", label=None, of=1))


def test_people_who_disagree_have_no_answer_until_it_is_settled():
    text = "a" * 16
    two = [entry(label="x"), entry(label="y", author="Bo")]
    found = say(*two)[text]
    assert found.answer is None and found.disagree
    settled = say(*two, entry(kind="settle", label="y"))[text]
    assert settled.answer == "y" and not settled.disagree
    back = say(*two, entry(kind="settle", label="y"), entry(kind="undo", label=None, of=3))[text]
    assert back.disagree


def test_skips_and_rows_that_cannot_be_told():
    text = "a" * 16
    skipped = say(entry(kind="skip", label=None))[text]
    assert skipped.answer is None and skipped.skipped == {"Ana"} and not skipped.said
    cannot = say(entry(kind="skip", label=None), entry(kind="unclear", label=None))[text]
    assert cannot.answer == CANNOT and not cannot.skipped


def test_the_digest_follows_the_answers_alone():
    one = say(entry(label="x"))
    assert digest(one) == digest(
        say(entry(label="y"), entry(label="x"), entry("b" * 16, kind="skip", label=None))
    )
    assert digest(one) != digest(say(entry(label="y")))


def test_the_last_line_of_a_person():
    lines = [
        Entry(**{**vars(e), "id": n})
        for n, e in enumerate([entry(), entry(author="Bo"), entry(label="y"), entry(kind="undo", of=3)], 1)
    ]
    assert last_by(lines, "Ana").id == 1 and last_by(lines, "Cy") is None
