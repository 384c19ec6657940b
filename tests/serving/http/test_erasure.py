"""Nothing that derives from an input is readable on disk, and nothing of it is left after erasure or expiry: every file is searched."""

import json
import sqlite3
import time

import pytest

from rung.core.types import Field, Schema
from rung.improvement.input_copies import exclusive_access, remove_all_input_copies
from rung.journal import data_subjects
from rung.journal.derived import OutputSplitter, load_input
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.journal.reader import JournalReader
from rung.journal.records import FeedbackRecord, PredictionRecord, ShadowRecord, new_id
from rung.journal.writer import Journal
from rung.serving.shadow_results import read_results
from rung.serving.shadow_state import Shadow
from server_process import URL

SAID = "Zanzibar Quillfeather scored twice in the cup final, the striker said"
ANSWER = Schema((Field("text", "text", "input"),), (Field("reply", "text", "output"),))


def files_with(folder, words):
    """Return (file, words) for each word that a file of the folder holds, plain or as JSON escapes it."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes().lower()
            for word in words:
                if word.lower().encode() in content or json.dumps(word)[1:-1].lower().encode() in content:
                    found.append((path.name, word))
    return found


@pytest.mark.parametrize("inputs", ["encrypted", "hash", "plain"])
def test_explanations_are_kept_as_inputs_are(opened, inputs, monkeypatch):
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    with opened(inputs=inputs) as server:
        ids, words = [], {"Quillfeather", "Zanzibar"}
        for path, more in ((URL, {"explain": True}), (URL.replace("predict", "explain"), {}), (URL, {})):
            reply = server.client.post(
                path,
                json={"inputs": {"text": SAID}, "subject": "ann", **more},
                headers=server.headers["predict"],
            ).json()["predictions"][0]
            ids.append(reply["id"])
            words |= {reason["text"] for reason in reply.get("reasons", ()) if len(reason["text"]) > 5}
        assert len(words) > 2, "reasons quote the input"
        if inputs != "plain":
            assert files_with(server.folder, words) == []
        asked = server.client.get(f"/v1/predictions/{ids[0]}", headers=server.headers["review"]).json()
        assert ("reasons" in asked["output"]) is (inputs != "hash") and asked["output"]["label"]
        told = server.client.post(
            "/v1/subjects/export", json={"subject": "ann"}, headers=server.headers["admin"]
        )
        assert len(told.json()["predictions"]) == 3
        gone = server.client.post(
            "/v1/subjects/erase", json={"subject": "ann"}, headers=server.headers["admin"]
        )
        assert gone.json()["erased_predictions"] == 3
        assert files_with(server.folder, words) == [], "the log of the database too"
        left = server.client.get(f"/v1/predictions/{ids[0]}", headers=server.headers["review"]).json()
        assert left["input"] is None and "reasons" not in left["output"] and left["output"]["label"]


def test_reasons_that_version_0_1_stored_go_with_the_input(tmp_path):
    journal = Journal(tmp_path, "plain")
    for subject, at in (("ann", time.time()), (None, time.time() - 200 * 86_400)):
        journal.write(
            PredictionRecord(
                new_id(), at, "r", "desk", "v1", "m", "shop", subject, {"text": SAID},
                {"label": "tech", "reasons": [{"text": "Quillfeather", "weight": 1.0}]}, 1.0, 0.0,
            )
        )  # fmt: skip
    assert files_with(tmp_path, ["Quillfeather"])
    data_subjects.erase_subject(journal, "ann", "admin")
    assert data_subjects.expire_inputs(journal) == 1
    journal.remove_erased()
    assert files_with(tmp_path, ["Quillfeather"]) == []
    outputs = journal.read(lambda c: c.exec_driver_sql("select output from predictions").scalars().all())
    assert [json.loads(output) for output in outputs] == [{"label": "tech"}] * 2
    journal.close()


def test_labels_and_numbers_are_plain_and_other_texts_are_not():
    schema = Schema((), (Field("label", "category", "output", ("tech", "sport")),))
    output = {"label": "tech", "probability": 0.9, "score:tech": 0.9, "answered_by": "lookup", "quote": SAID,
              "by_label": {"tech": 1}, "near": [SAID], "note": {SAID: 1}, "reasons": []}  # fmt: skip
    plain, derived = OutputSplitter(schema).split(output)
    assert set(derived) == {"quote", "near", "note"} and list(plain) == list(output)
    assert SAID not in json.dumps(plain) and plain["label"] == "tech" and plain["quote"] is None
    plain, derived = OutputSplitter(ANSWER).split({"reply": 12, "probability": 0.5})
    assert (plain, derived) == ({"reply": None, "probability": 0.5}, {"reply": 12})


def test_answers_in_words_are_stored_with_the_input(tmp_path, monkeypatch):
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    journal = Journal(tmp_path)
    plain, derived = OutputSplitter(ANSWER).split({"reply": SAID, "probability": 0.5, "answered_by": "m"})
    record = PredictionRecord(
        new_id(),
        time.time(),
        "r",
        "desk",
        "v1",
        "m",
        "shop",
        "ann",
        {"text": SAID},
        plain,
        1.0,
        0.0,
        None,
        derived,
    )
    journal.write(record)
    journal.write(FeedbackRecord(new_id(), time.time(), record.id, '"x"', "user", "shop"))
    journal.write(
        ShadowRecord(new_id(), time.time(), record.id, "v2", '{"reply": null, "same": true}', "", 1.0, 0.0, 0)
    )
    reader = JournalReader.from_journal(journal)
    (row,) = next(reader.predictions("desk"))
    assert (
        row.answer == SAID
        and row.probability == 0.5
        and list(row.output) == ["reply", "probability", "answered_by"]
    )
    assert (
        reader.feedback("desk")[0].output["reply"] == SAID
        and reader.by_id([record.id])[record.id].answer == SAID
    )
    shadow = Shadow("b", "v2", "v1", 0.0, "ann", "", 1, 0.9, 1)
    assert read_results(journal, shadow).agreement == 1.0
    assert data_subjects.find_prediction(journal, record.id)["output"]["reply"] == SAID
    assert files_with(tmp_path, ["Quillfeather"]) == []
    data_subjects.erase_subject(journal, "ann", "admin")
    (row,) = next(reader.predictions("desk"))
    assert row.answer is None and reader.feedback("desk") == [], "a correction in words goes too"
    journal.close()


@pytest.mark.parametrize("inputs", ["encrypted", "plain", "hash"])
def test_corrections_in_words_are_stored_and_erased_with_the_input(tmp_path, inputs, monkeypatch):
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    journal, reader = Journal(tmp_path, inputs), None
    reader = JournalReader.from_journal(journal)
    plain, derived = OutputSplitter(ANSWER).split(
        {"reply": "another", "probability": 0.5, "answered_by": "m"}
    )
    made = [
        PredictionRecord(
            new_id(), at, "r", "desk", "v1", "m", "shop", who, {"text": SAID}, plain, 1.0, 0.0, None, derived
        )
        for who, at in (("ann", time.time()), ("bob", time.time()), (None, time.time() - 200 * 86_400))
    ]
    journal.write(*made)
    for record in made:
        for answer in (SAID, {"rung": "settle", "label": SAID}, {"rung": "undo", "of": "0" * 32}):
            journal.write(
                FeedbackRecord(new_id(), time.time(), record.id, json.dumps(answer), "user", "shop")
            )
    said = [item.answer for item in reader.feedback("desk") if item.prediction == made[0].id]
    kept = [] if inputs == "hash" else [SAID, {"rung": "settle", "label": SAID}]
    assert said == [*kept, {"rung": "undo", "of": "0" * 32}]
    assert bool(files_with(tmp_path, ["Quillfeather"])) is (inputs == "plain")
    found = data_subjects.export_subject(journal, "ann")["predictions"][0]["feedback"]
    assert [item["answer"] for item in found][:1] == (kept[:1] or [None])
    data_subjects.erase_subject(journal, "ann", "admin")
    data_subjects.erase_subject(journal, "bob", "admin")
    data_subjects.expire_inputs(journal)
    journal.remove_erased()
    assert files_with(tmp_path, ["Quillfeather"]) == []
    left = reader.feedback("desk")
    assert [item.answer for item in left] == [{"rung": "undo", "of": "0" * 32}] * 3
    journal.write(FeedbackRecord(new_id(), time.time(), made[0].id, json.dumps(SAID), "user", "shop"))
    assert files_with(tmp_path, ["Quillfeather"]) == [], "nothing is stored about an erased person"
    journal.close()


def test_inputs_of_version_0_1_are_read():
    assert load_input(b'{"text": "a"}') == ({"text": "a"}, {})


def test_copies_that_improvements_made_go_too(tmp_path):
    folder = tmp_path / "improve" / "001"
    (folder / "run" / "data").mkdir(parents=True)
    (folder / "run" / "bundle").mkdir()
    (folder / "run" / "trials" / "m").mkdir(parents=True)
    (folder / "run" / "embeddings").mkdir()
    copies = (
        "feedback.jsonl",
        "audit.jsonl",
        "run/data/train.parquet",
        "run/report.html",
        "run/embeddings/m.emb",
    )
    for name in copies:
        (folder / name).write_text(SAID)
    report = {
        "winner": "m", "inputs": ["text"], "text": {"mean_length": 3}, "findings": [{"evidence": [{"row": 3, "excerpt": SAID}]}],
        "details": {"mistakes": [{"input": SAID, "probability": 0.4}]}, "study": {"why": {"examples": [{"input": SAID}]}},
    }  # fmt: skip
    for name in ("run/report.json", "run/trials/m/done.json"):
        (folder / name).write_text(json.dumps(report))
    (folder / "provenance.jsonl").write_text(
        json.dumps({"prediction": "1", "text": SAID, "label": "a"}) + "\n"
    )
    (folder / "run" / "events.jsonl").write_text('{"half": "' + SAID)
    (folder / "run" / "bundle" / "manifest.json").write_text('{"text": "kept"}')
    with exclusive_access(tmp_path):
        remove_all_input_copies(tmp_path)  # One is running, and does it at its end.
        assert (folder / "feedback.jsonl").exists()
    remove_all_input_copies(tmp_path)
    assert files_with(tmp_path, ["Quillfeather"]) == [] and not (folder / "run" / "data").exists()
    left = json.loads((folder / "run" / "report.json").read_text())
    assert left["winner"] == "m" and left["inputs"] == ["text"] and left["text"] == {"mean_length": 3}
    assert left["findings"] == [{"evidence": [{"row": 3, "excerpt": ""}]}]
    assert json.loads((folder / "provenance.jsonl").read_text()) == {
        "prediction": "1",
        "text": "",
        "label": "a",
    }
    assert (folder / "run" / "bundle" / "manifest.json").read_text() == '{"text": "kept"}'


def test_erasing_over_http_reaches_the_copies(opened):
    with opened(inputs="plain") as server:
        copies = server.folder / "improve" / "001"
        copies.mkdir(parents=True)
        (copies / "feedback.jsonl").write_text(SAID)
        server.client.post("/v1/subjects/erase", json={"subject": "ann"}, headers=server.headers["admin"])
        assert not (copies / "feedback.jsonl").exists()


def test_the_database_holds_no_words_in_free_pages(tmp_path):
    journal = Journal(tmp_path, "plain")
    for n in range(200):
        journal.write(
            PredictionRecord(
                new_id(),
                time.time(),
                "r",
                "desk",
                "v1",
                "m",
                "shop",
                "ann",
                {"text": f"{SAID} {n}" * 20},
                {"label": "a"},
                1.0,
                0.0,
            )  # fmt: skip
        )
    data_subjects.erase_subject(journal, "ann", "admin")
    journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as raw:
        assert raw.execute("pragma integrity_check").fetchone() == ("ok",)
    raw.close()
    assert files_with(tmp_path, ["Quillfeather"]) == []
