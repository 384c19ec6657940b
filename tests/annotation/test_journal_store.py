"""Reviews in the journal: labels are feedback, everything else a word about one; nothing changes, audits come from the page alone."""

import sqlite3

import pytest

from rung.annotation.journal_store import JournalAnnotationStore, require_readable
from rung.core.errors import InputError
from rung.data.labels.consensus import CANNOT, last_by, verdicts
from rung.data.labels.store import LABEL, SETTLE, SKIP, UNCLEAR, UNDO, Entry
from rung.journal.reader import JournalReader
from rung.journal.writer import Journal
from served_products import remember, say_so


@pytest.fixture
def place(built, tmp_path):
    ids = remember(tmp_path, built.bundle, [{"text": f"a goal in match {i}"} for i in range(6)])
    journal = Journal(tmp_path, "plain")
    yield journal, ids, {id: f"{n:016x}" for n, id in enumerate(ids)}, tmp_path
    journal.close()


def entry(id, text, kind=LABEL, label="tech", author="ann", **more):
    return Entry(author, kind, text, id, 0, label, **more)


def test_every_kind_of_word_comes_back_as_it_was_said(place):
    journal, ids, texts, _ = place
    answers = JournalAnnotationStore(journal, "desk", texts, {texts[ids[1]]})
    lines = [
        entry(ids[0], texts[ids[0]], how="unsure"),
        entry(ids[1], texts[ids[1]], how="audit"),
        entry(ids[2], texts[ids[2]], SKIP, None, how="novel"),
        entry(ids[3], texts[ids[3]], UNCLEAR, None, how="novel"),
        entry(ids[0], texts[ids[0]], label="sport", author="bo", how="unsure"),
        entry(ids[0], texts[ids[0]], SETTLE, "sport", how="unsure"),
    ]
    answers.add(*lines)
    found = verdicts(answers.entries())
    assert found[texts[ids[0]]].answer == "sport" and found[texts[ids[0]]].said == {
        "ann": "tech",
        "bo": "sport",
    }
    assert found[texts[ids[1]]].how == "audit" and found[texts[ids[3]]].answer == CANNOT
    last = last_by(answers.entries(), "ann")
    answers.add(entry(last.file, last.text, UNDO, None, of=last.id, how=last.how))
    again = JournalAnnotationStore(journal, "desk", texts, {texts[ids[1]]})
    assert verdicts(again.entries())[texts[ids[0]]].disagree, (
        "the settlement is taken back, in a new process too"
    )
    said = JournalReader.from_journal(journal).feedback("desk")
    assert [one.source for one in said] == ["review", "audit", *["review"] * 5]
    assert said[0].answer == "tech", "a label is feedback like any other"


def test_the_same_line_sent_again_is_written_once(place):
    journal, ids, texts, _ = place
    line = entry(ids[0], texts[ids[0]], token="0123456789")
    first = JournalAnnotationStore(journal, "desk", texts).add(line)
    assert JournalAnnotationStore(journal, "desk", texts).add(line) == first
    assert len(JournalReader.from_journal(journal).feedback("desk")) == 1


def test_what_is_said_of_audited_texts_elsewhere_does_not_count(place):
    journal, ids, texts, folder = place
    say_so(
        folder,
        [
            (ids[0], "tech", "review", "ann"),
            (ids[1], "tech", "review", "ann"),
            (ids[2], "tech", "user", "shop"),
        ],
    )
    answers = JournalAnnotationStore(journal, "desk", texts, {texts[ids[0]]})
    assert set(verdicts(answers.entries())) == {texts[ids[1]]}


def test_nothing_in_the_journal_is_changed(place):
    journal, ids, texts, folder = place
    JournalAnnotationStore(journal, "desk", texts).add(entry(ids[0], texts[ids[0]]))
    with sqlite3.connect(folder / "journal.db") as database, pytest.raises(sqlite3.IntegrityError):
        database.execute("UPDATE feedback SET answer = '\"sport\"'")
    database.close()


def test_reading_only_what_is_new_and_what_was_spoken_of(place):
    journal, ids, _, folder = place
    say_so(folder, [(ids[0], "tech", "user", "shop")])
    reader = JournalReader.from_journal(journal)
    assert [row.id for row in reader.reviewable("desk", ids[3], 0)[0]] == [ids[0], *ids[4:]]
    assert len(reader.reviewable("desk", ids[3], 20_000)[0]) == 6
    assert set(reader.by_id(ids[:2])) == set(ids[:2])
    assert reader.reviewable("other") == ([], 0)


def test_inputs_that_are_hashes_are_counted_and_refused_in_words(built, tmp_path):
    remember(tmp_path, built.bundle, [{"text": "a goal"}] * 3, "hash")
    journal = Journal(tmp_path, "hash")
    rows, without_input = JournalReader.from_journal(journal).reviewable("desk")
    journal.close()
    assert rows == [] and without_input == 3
    with pytest.raises(InputError) as caught:
        require_readable(0, 3, "desk")
    assert str(caught.value) == (
        "desk: none of the 3 served rows can be read: their inputs are not stored\n"
        "Set RUNG_MASTER_KEY before `rung serve` (`rung keys master` prints one), or write `serve: {inputs: plain}`. Media also need `media: keep`."
    )
    with pytest.raises(InputError, match="nothing has been served yet"):
        require_readable(0, 0, "desk")
