"""Who is asked what, what a build then makes of it, and what never happens: chosen rows that certify, hints on random rows."""

import json

import pytest

import rung
from labelling_world import label_rows, session_in, truth_of, write_product
from rung.building.certify import next_alpha
from rung.core.certificate_lock import CertificateLock
from rung.core.errors import InputError, RungError, SpecError
from rung.data.labels.audit_sample import AUDIT, RANDOM
from rung.data.labels.store import Entry, LabelStore
from rung.workflows.label import open_labelling_session
from support import write_csv


def test_clusters_first_then_useful_and_a_share_at_random(tmp_path):
    with session_in(tmp_path) as session:
        asked = label_rows(session, "Ana", 100)
        how = [item.reason for item in asked]
        assert how[0] == "cluster" and how.count("audit") == 20 and how.count("random") == 16
        assert "useful" in how[40:] and "cluster" not in how[-20:]
        assert len({item.row.text for item in asked}) == 100
        stored = session._store.entries()
        assert [e.how for e in stored] == how and all(e.at and e.author == "Ana" for e in stored)
        known = {e.how: e.inclusion for e in stored}
        assert known["useful"] is None and known["audit"] == 0.2 and 0 < known["random"] < 1
        assert (
            session.strategy.state.learning_curve[-1].labels == 80
            and session.strategy.state.learning_curve[-1].score > 0.9
        )


def test_random_rows_are_blind_and_come_in_the_order_of_the_line(tmp_path):
    with session_in(tmp_path) as session:
        asked = label_rows(session, "Ana", 120)
        assert all(item.suggestion is None for item in asked if item.row.zone in (AUDIT, RANDOM))
        assert any(item.suggestion for item in asked if item.reason == "useful")
        for zone in (AUDIT, RANDOM):
            units = [item.row.unit for item in asked if item.row.zone == zone]
            assert units == sorted(units)


def test_what_is_put_off_comes_back_before_the_next_border(tmp_path):
    with session_in(tmp_path) as session:
        first = next(row for row in session.pool.rows if row.zone == AUDIT)
        seen = []
        for _ in range(300):
            item = session.next("Ana")
            seen.append(item.row.text)
            if item.row.text == first.text and seen.count(first.text) == 1:
                session.record_answer("Ana", item.row.text, "skip")
                assert session.next("Ana").row.text != first.text
            else:
                session.record_answer("Ana", item.row.text, "label", truth_of(item.row.cells["text"]))
            if session.progress().audit.border > 0:
                break
        assert seen.count(first.text) == 2
        beyond = [
            r for r in session.pool.rows if r.zone == AUDIT and r.unit / 2.0**64 >= session.pool.zones.first
        ]
        assert not {r.text for r in beyond} & set(seen)


def test_undo_is_a_new_line_and_shows_the_row_again(tmp_path):
    with session_in(tmp_path) as session:
        asked = label_rows(session, "Ana", 3)
        back = session.undo("Ana")
        assert back.row.text == asked[-1].row.text and session.progress().labelled == 2
        assert session.next("Bo").row.text != back.row.text
        assert [e.kind for e in session._store.entries()] == ["label"] * 3 + ["undo"]
        assert session.undo("Nobody") is None


def test_two_people_get_different_rows_and_some_again(tmp_path):
    with session_in(tmp_path) as session:
        one, other = session.next("Ana"), session.next("Bo")
        assert one.row.text != other.row.text and session.next("Ana").row.text == one.row.text
        label_rows(session, "Ana", 40)
        again = [item for item in label_rows(session, "Bo", 40) if item.reason == "again"]
        assert len(again) == 4 and all(item.suggestion is None for item in again)
        (line,) = session.agreement()
        assert (line.one, line.other, line.rows, line.kappa) == ("Ana", "Bo", 4, 1.0) and line.low < 1.0


def test_a_disagreement_waits_for_a_word_that_settles_it(tmp_path):
    with session_in(tmp_path) as session:
        row = session.next("Ana").row
        session.record_answer("Ana", row.text, "label", "ships")
        session.record_answer("Bo", row.text, "label", "gold")
        ((open_row, verdict),) = session.disagreements()
        assert open_row.text == row.text and verdict.said == {"Ana": "ships", "Bo": "gold"}
        assert session.progress().labelled == 0 and session.progress().disagreements == 1
        session.record_answer("Cy", row.text, "settle", "gold")
        assert session.disagreements() == [] and session.progress().by_label["gold"] == 1
        session.undo("Cy")
        assert len(session.disagreements()) == 1


def test_another_process_is_seen(tmp_path):
    with session_in(tmp_path) as session:
        row = session.next("Ana").row
        with LabelStore(tmp_path / "labels.sqlite") as other:
            other.add(Entry("Bo", "label", row.text, row.file, row.row, "ships"))
        assert session.progress().labelled == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (("Ana", "?", "label", "shipz"), "'shipz' is not one of the labels\nDid you mean 'ships'?"),
        (("Ana", "?", "shout", None), "'shout' is not a kind of answer"),
        (("Ana", "f" * 16, "skip", None), f"there is no row '{'f' * 16}' in the data"),
        (("  ", "?", "skip", None), "the name of the annotator is missing or too long"),
    ],
)
def test_wrong_answers_are_refused(tmp_path, answer, words):
    with session_in(tmp_path) as session:
        author, text, kind, label = answer
        text = session.pool.rows[0].text if text == "?" else text
        with pytest.raises(InputError) as caught:
            session.record_answer(author, text, kind, label)
        assert words in str(caught.value) and session._store.entries() == []


def test_a_build_certifies_on_the_interval_alone(tmp_path):
    """Nobody labelled the whole interval: nothing certifies. Then all of it is, and nothing else does."""
    path = write_product(tmp_path)
    with open_labelling_session(path, background=False) as session:
        label_rows(session, "Ana", 100)
        wanted = session.progress().audit.wanted
    first = rung.build(path)
    assert not first.cleared and first.report["certificate"] is None
    assert first.report["data"]["certification"] == 0 and first.report["data"]["train"] == 80
    assert {t["status"] for t in first.report["trials"]} <= {"below bar", "not certified"}
    assert first.report["advice_items"][0]["key"] == "audit"
    assert first.report["data"]["audit"] | {"certified_border": 0} == {
        "labelled": 80, "certified_border": 0, "done": 20, "wanted": wanted, "cannot_be_told": 0,
    }  # fmt: skip
    with open_labelling_session(path, background=False) as session:
        while session.progress().audit.border == 0:
            label_rows(session, "Ana", 5)
        border = session.progress().audit.border
        inside = {r.text for r in session.pool.rows if r.zone == AUDIT and r.unit / 2.0**64 < border}
        chosen = {e.text for e in session._store.entries() if e.how != "audit"}
    done = rung.build(path)
    assert done.cleared and done.report["certificate"]["rows"] == len(inside) == wanted
    assert "0 random rows could not be labelled" in done.report["certificate"]["claim"]
    looks = json.loads((tmp_path / "certificate.lock").read_text())["looks"]
    assert len(looks) == 1
    train = _units(done.folder, "train")
    assert _units(done.folder, "certification") == inside and train == chosen


def _units(folder, table):
    import pyarrow.parquet as pq

    return set(pq.read_table(folder / "data" / f"{table}.parquet")["unit"].to_pylist())


def test_a_border_passed_over_is_paid_for(tmp_path):
    path = write_product(tmp_path, 300)
    with open_labelling_session(path, background=False) as session:
        for row in session.pool.rows:  # everything is labelled before the first build
            session.record_answer("Ana", row.text, "label", truth_of(row.cells["text"]))
        borders = len(session.pool.zones.borders())
    done = rung.build(path)
    lock = CertificateLock(tmp_path / "certificate.lock")
    looks = json.loads(lock.path.read_text())["looks"]
    assert borders == 2 and [look["bundle"] == "none" for look in looks] == [True, False]
    assert done.report["certificate"]["looks"] == 2 and done.report["certificate"]["alpha"] == pytest.approx(
        0.05 / 4
    )
    units = list(_units(done.folder, "certification"))
    before = next_alpha(units, lock, 0.95)
    rung.build(path)
    assert next_alpha(units, lock, 0.95) == before


def test_rows_that_cannot_be_told_are_counted_in_the_claim(tmp_path):
    path = write_product(tmp_path)
    with open_labelling_session(path, background=False) as session:
        rows = [row for row in session.pool.rows if row.zone == AUDIT]
        for n, row in enumerate(rows):
            session.record_answer(
                "Ana", row.text, *(("unclear",) if n < 3 else ("label", truth_of(row.cells["text"])))
            )
        label_rows(session, "Ana", 60)
    done = rung.build(path)
    assert done.report["data"]["audit"]["cannot_be_told"] == 3
    assert "3 random rows could not be labelled" in done.report["certificate"]["claim"]
    assert done.report["certificate"]["rows"] == len(rows) - 3


def test_labels_in_the_file_count_and_peoples_win(tmp_path):
    path = write_product(tmp_path)
    from labelling_world import rows

    table = [(text, truth_of(text) if n % 4 == 0 else "") for n, text in enumerate(rows())]
    write_csv(tmp_path / "rows.csv", ["text", "label"], table)
    with open_labelling_session(path, background=False) as session:
        given = [row for row in session.pool.rows if row.given]
        asked = {item.row.text for item in label_rows(session, "Ana", 30) if item.row.given is None}
        assert len(given) == 100 and len(asked) == 30
        session.record_answer("Ana", next(r.text for r in given if r.zone != AUDIT), "label", "gold")
        unasked = next(
            r.unit for r in session.pool.rows if r.zone == RANDOM and not r.given and r.text not in asked
        )
        line = [row for row in session.pool.rows if row.zone == RANDOM]
    done = rung.build(path)
    # What the file labels beyond the first random row that nobody was asked about is no random choice: it does not score.
    facts = json.loads((done.folder / "data" / "done.json").read_text())
    scored = {int(unit, 16) for unit in facts["audit"]["random_units"]}
    assert scored == {row.unit for row in line if row.unit < unasked} and len(scored) >= 3
    assert any(row.unit > unasked and row.given for row in line)
    audit = sum(row.zone == AUDIT for row in given)
    assert done.report["data"]["train"] == 100 - audit + 24 and done.report["data"]["certification"] == 0


def test_a_product_without_labels_says_how_to_write_them(tmp_path):
    path = write_product(tmp_path)
    path.write_text(path.read_text().split("labelling:")[0])
    with pytest.raises(SpecError) as caught, open_labelling_session(path):
        pass
    assert "labelling: is missing: name the labels" in str(caught.value)
    path.write_text(path.read_text() + "labelling: {labels: [a, a]}\n")
    with pytest.raises(SpecError, match="names the label 'a' twice"), open_labelling_session(path):
        pass
    path.write_text(path.read_text().replace("[a, a]", "[a]"))
    with (
        pytest.raises(SpecError, match="has one label: rows need at least two"),
        open_labelling_session(path),
    ):
        pass


def test_time_and_too_few_rows_are_refused(tmp_path):
    path = write_product(tmp_path, 20)
    with pytest.raises(RungError, match="20 different rows can be used"), open_labelling_session(path):
        pass
    write_csv(tmp_path / "rows.csv", ["text", "day"], [(f"text {i}", "2024-01-01") for i in range(60)])
    path.write_text(path.read_text().replace("target: label}", "target: label, time: day}"))
    with pytest.raises(RungError, match="certifies on the latest rows"), open_labelling_session(path):
        pass
