"""Media in the journal: by hash and measures, or with their content; read back for drift, review and improvement."""

import base64
import json
import time
from types import SimpleNamespace

import pytest

from rung.core.blobs import Blob, BlobStore
from rung.core.errors import DataError
from rung.core.kind import kind
from rung.core.source_place import SourcePlace
from rung.core.types import Field
from rung.data.readers.json_lines import open_table
from rung.data.sources.files import File
from rung.data.sources.rows import Reading
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.journal.reader import JournalReader
from rung.modalities.documents.kind import FileKind
from rung.monitoring.drift.statistics import InputStatistics
from rung.workflows.improve import _write_rows
from small_models import Answering, small

URL = "/v1/models/small/predict"
DATA = b"the content of a picture, \x00\xff"
FIELDS = (Field("file", "file", "input"), Field("note", "text", "input"))


class Measured(FileKind):
    """A file whose first byte is measured."""

    def inspect(self, blob):
        return {"first": float(blob.read()[0])}


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    monkeypatch.setattr(FileKind, "inspect", Measured.inspect)


@pytest.fixture
def journaled(opened, tmp_path):
    model = small(tmp_path, Answering(lambda row: row["note"]), file="file", note="text")

    def open_(**limits):
        return opened(keys=False, predictors=[model], **limits)

    return open_


def ask(server, data=DATA, name="a.png", **options):
    reply = server.client.post(URL, files={"file": (name, data)}, data={"note": "seen", **options})
    assert reply.status_code == 200, reply.text
    return reply.json()["predictions"][0]["id"]


def stored(server):
    return b"".join(path.read_bytes() for path in server.folder.glob("journal.db*"))


def test_media_stand_by_hash_and_measures_alone(journaled):
    with journaled(inputs="plain") as server:
        kept = server.client.get(f"/v1/predictions/{ask(server)}").json()["input"]
        blob = Blob.of(DATA, "a.png")
        assert kept == {
            "file": {"sha256": blob.sha256, "size": len(DATA), "name": "a.png", "measures": {"first": 116.0}}, "note": "seen",
        }  # fmt: skip
        assert base64.b64encode(DATA) not in stored(server)
        found = JournalReader.from_journal(server.journal, FIELDS).reviewable("small")
        assert found == ([], 1), "nobody can look at it"


def test_the_same_content_is_the_same_input_by_whatever_name(journaled):
    with journaled(inputs="plain") as server:
        ids = [ask(server), ask(server, name="b.png"), ask(server, data=DATA + b"x")]
        hashes = [server.client.get(f"/v1/predictions/{id}").json()["input_hash"] for id in ids]
        assert hashes[0] == hashes[1] != hashes[2]
    with journaled(inputs="plain", media="keep") as server:
        again = server.client.get(f"/v1/predictions/{ask(server)}").json()["input_hash"]
        assert again == hashes[0], "keeping the content changes no hash"


@pytest.mark.parametrize("inputs", ["plain", "encrypted", "hash"])
def test_content_is_kept_where_the_spec_says_so(journaled, inputs, monkeypatch):
    monkeypatch.setenv(MASTER_KEY_VARIABLE, new_master_key())
    with journaled(inputs=inputs, media="keep") as server:
        id = ask(server, subject="ann")
        found = server.client.get(f"/v1/predictions/{id}").json()
        content = base64.b64encode(DATA)
        if inputs == "hash":
            assert found["input"] is None and found["input_hash"]
        else:
            assert found["input"]["file"]["base64"].encode() == content
        assert (content in stored(server)) is (inputs == "plain")
        rows = JournalReader.from_journal(server.journal, FIELDS).by_id([id])
        if inputs == "hash":
            assert rows == {}
        else:
            blob = rows[id].input["file"]
            assert blob.read() == DATA and blob.measures == {"first": 116.0}
        server.client.post("/v1/subjects/erase", json={"subject": "ann"})
        assert (
            content not in stored(server)
            and JournalReader.from_journal(server.journal, FIELDS).by_id([id]) == {}
        )
        if inputs != "hash":
            with pytest.raises(DataError, match="no longer in the journal"):
                blob.read()


def test_large_content_is_kept_by_its_hash_and_counted(journaled, caplog):
    with journaled(inputs="plain", media="keep", body_mb=4) as server:
        large = ask(server, data=b"a" * ((1 << 20) + 1))
        ask(server, data=b"a" * (1 << 20))
        assert "base64" not in server.client.get(f"/v1/predictions/{large}").json()["input"]["file"]
        assert 'rung_media_not_kept_total{model="small"} 1' in server.client.get("/metrics").text
        rows, without_input = JournalReader.from_journal(server.journal, FIELDS).reviewable("small")
        assert len(rows) == 1 and without_input == 1


def test_drift_measures_media_that_are_not_kept(journaled):
    with journaled(inputs="plain") as server:
        for n in range(4):
            ask(server, data=bytes([n]) * (n + 1))
        with JournalReader.from_folder(server.folder, FIELDS) as reader:
            (rows,) = reader.predictions("small", "v1", "", time.time() + 1)
        blobs = [row.input["file"] for row in rows]
        measured = kind("file").measure(blobs)
        assert list(measured["size"][1]) == [1, 2, 3, 4] and list(measured["first"][1]) == [
            0.0,
            1.0,
            2.0,
            3.0,
        ]
        schema = SimpleNamespace(inputs=FIELDS[:1])
        columns = {"file": [Blob.of(bytes([n]) * (n + 1)) for n in range(50)]}
        learned = InputStatistics.fit(schema, columns)
        assert len(learned.assign_bins(schema, {"file": blobs})["size:file"]) == 4


def test_improvement_writes_rows_that_a_build_reads(journaled, tmp_path):
    with journaled(inputs="plain", media="keep", body_mb=4) as server:
        large = b"b" * (1 << 20)
        ids = [ask(server), ask(server, data=large, name="../../b.png")]
        served = SimpleNamespace(
            product=SimpleNamespace(data=SimpleNamespace(target="label", input=("file", "note"))),
            task=SimpleNamespace(schema=lambda inputs, targets: SimpleNamespace(inputs=FIELDS)),
            users=None,
            predictions=JournalReader.from_journal(server.journal, FIELDS).by_id(ids),
        )
        path = tmp_path / "feedback.jsonl"
        _write_rows(path, served, {ids[0]: "cat", ids[1]: "dog", "0" * 32: "gone"})
    table = open_table(File(path, "feedback.jsonl"), Reading())
    store = BlobStore(tmp_path / "data", tmp_path)
    place = SourcePlace(store, tmp_path)
    rows = [row.values for row in table.rows()]
    assert [row["label"] for row in rows] == ["cat", "dog"] and rows[0]["note"] == "seen"
    blobs = [kind("file").parse(row["file"], place) for row in rows]
    assert [blob.read() for blob in blobs] == [DATA, large] and blobs[0].measures == {"first": 116.0}
    assert path.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text().splitlines()[0])["file"]["name"] == "a.png"
